//! Somebody's device, and what it does over REST at any node.

use std::time::Duration;

use serde_json::{Value, json};

use crate::node::Node;

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A device that is signed in.
pub(crate) struct Account {
    pub(crate) user: String,
    pub(crate) token: String,
    pub(crate) refresh_token: String,
}

impl Account {
    /// Signs up a guest at a node.
    pub(crate) fn sign_up(node: &Node, name: &str) -> Self {
        let (status, grant) = answer(agent().post(url(node, "/guests")).send_json(json!({ "name": name })));
        assert_eq!(status, 201, "{grant}");
        Self::of(&grant)
    }

    fn of(grant: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let user = text(&grant["user"]["id"]);
        Self { user, token: text(&grant["access_token"]), refresh_token: text(&grant["refresh_token"]) }
    }

    /// Exchanges the refresh token at a node; none when it is no good.
    pub(crate) fn refresh(&self, node: &Node) -> Option<Self> {
        let body = json!({ "refresh_token": self.refresh_token });
        let (status, grant) = answer(agent().post(url(node, "/tokens/refresh")).send_json(body));
        assert!(matches!(status, 200 | 401), "{status}: {grant}");
        (status == 200).then(|| Self::of(&grant))
    }

    /// Signs this device out at a node.
    pub(crate) fn sign_out(&self, node: &Node) {
        let (status, body) =
            answer(agent().delete(url(node, "/session")).header("Authorization", self.bearer()).call());
        assert_eq!(status, 204, "{body}");
    }

    /// Whether a node takes the access token.
    pub(crate) fn is_known(&self, node: &Node) -> bool {
        let (status, body) = answer(agent().get(url(node, "/me")).header("Authorization", self.bearer()).call());
        assert!(matches!(status, 200 | 401), "{status}: {body}");
        status == 200
    }

    /// Leaves a room at a node.
    pub(crate) fn leave(&self, node: &Node, room: &str) {
        let url = url(node, &format!("/rooms/{room}/leave"));
        let (status, body) = answer(agent().post(url).header("Authorization", self.bearer()).send_json(json!({})));
        assert_eq!(status, 200, "{body}");
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}

fn url(node: &Node, path: &str) -> String {
    format!("http://{}/api/v1{path}", node.address)
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
    ureq::Agent::new_with_config(config.build())
}

fn answer(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, Value) {
    let mut response = answer.unwrap();
    let status = response.status().as_u16();
    // Some answers have no body.
    (status, response.body_mut().read_json().unwrap_or_default())
}
