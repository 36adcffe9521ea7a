use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::{HeaderMap, Request};

use crate::client::PATIENCE;
use crate::server::TestServer;
use crate::turn::Turn;

/// Somebody who speaks HTTP, with or without a token.
#[derive(Clone)]
pub(crate) struct Http {
    agent: Agent,
    /// Where requests go, each to the next one: as through a balancer.
    bases: Vec<String>,
    turn: Arc<Turn>,
    token: Option<String>,
    /// Who they are, as the server said when they signed up.
    pub(crate) user: Value,
    pub(crate) refresh_token: String,
}

/// What came back.
#[derive(Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// Null where the body is not JSON.
    pub(crate) json: Value,
}

impl Http {
    /// Somebody who asks one node.
    pub(crate) fn stranger(address: SocketAddr) -> Self {
        Self::at(&format!("http://{address}"))
    }

    /// Somebody who asks all nodes in turn.
    pub(crate) fn visitor(server: &TestServer) -> Self {
        Self::asking(server.addresses().iter().map(|address| format!("http://{address}")).collect())
    }

    /// Somebody who asks a server elsewhere.
    pub(crate) fn at(url: &str) -> Self {
        Self::asking(vec![url.to_owned()])
    }

    fn asking(bases: Vec<String>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .max_idle_age(Duration::from_secs(1))
            .build();
        let (agent, turn) = (Agent::new_with_config(config), Arc::new(Turn::from(0)));
        Self { agent, bases, turn, token: None, user: Value::Null, refresh_token: String::new() }
    }

    /// Signs up a guest, who asks all nodes in turn.
    pub(crate) fn guest(server: &TestServer, name: &str) -> Self {
        Self::visitor(server).signed_up(name)
    }

    /// Signs up as a guest.
    pub(crate) fn signed_up(&self, name: &str) -> Self {
        let grant = self.post("/api/v1/guests", &json!({"name": name})).ok(201);
        let refresh_token = grant["refresh_token"].as_str().unwrap().to_owned();
        Self { user: grant["user"].clone(), refresh_token, ..self.with_token(grant["access_token"].as_str().unwrap()) }
    }

    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().unwrap()
    }

    pub(crate) fn handle(&self) -> &str {
        self.user["handle"].as_str().unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.call("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[], body)
    }

    /// Sends JSON, with further headers.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let headers: Vec<_> = headers.iter().copied().chain([("content-type", "application/json")]).collect();
        self.call(method, path, &headers, body.to_string().as_bytes())
    }

    /// Sends anything.
    pub(crate) fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.turn.next(&self.bases)));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = self.agent.run(request.body(body.to_vec()).unwrap()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        Reply { status: response.status().as_u16(), headers: response.headers().clone(), text, json }
    }

    /// Makes a public room.
    pub(crate) fn make_room(&self, name: &str) -> String {
        let made = self.post("/api/v1/rooms", &json!({"name": name})).ok(201);
        made["room"]["id"].as_str().unwrap().to_owned()
    }

    /// Says something in a room; gives its seq.
    pub(crate) fn say(&self, room: &str, text: &str) -> u64 {
        let sent = self.post(&format!("/api/v1/rooms/{room}/messages"), &json!({"text": text})).ok(201);
        sent["position"]["seq"].as_u64().unwrap()
    }
}

impl Reply {
    /// Expects success, with this status.
    pub(crate) fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json
    }

    /// Expects an error in the one shape, and that headers say the same.
    pub(crate) fn error(&self, status: u16, code: &str) -> &Value {
        assert_eq!((self.status, &self.json["code"]), (status, &json!(code)), "{}", self.text);
        assert!(self.json["message"].is_string() && self.json["temporary"].is_boolean(), "{}", self.text);
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.headers.contains_key("www-authenticate"), status == 401);
        assert_eq!(self.headers.contains_key("retry-after"), matches!(status, 429 | 503));
        &self.json
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}
