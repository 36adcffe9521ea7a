//! The matrix in `actors/authorization.toml`, held against every frame.

use std::collections::BTreeMap;

use bobchat_proto::wire::ClientFrame;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::server::TestServer;

/// Requests that no frame makes.
const REST_ONLY: [&str; 1] = ["nodes"];

/// A row of the matrix.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Row {
    pub(crate) route: Option<String>,
    pub(crate) routes: Vec<String>,
    everybody: Option<String>,
    outsider: Option<String>,
    hidden: Option<String>,
    left: Option<String>,
    member: Option<String>,
    owner: Option<String>,
    admin: Option<String>,
}

pub(crate) fn matrix() -> BTreeMap<String, Row> {
    toml::from_str(include_str!("../../actors/authorization.toml")).unwrap()
}

/// Somebody who asks, and the room that they ask about.
pub(crate) struct Asker {
    pub(crate) kind: &'static str,
    client: Client,
    pub(crate) token: String,
    pub(crate) room: String,
}

impl Row {
    pub(crate) fn expected(&self, kind: &str) -> &str {
        let of_kind = match kind {
            "outsider" => &self.outsider,
            "hidden" => &self.hidden,
            "left" => &self.left,
            "member" => &self.member,
            "owner" => &self.owner,
            "admin" => &self.admin,
            other => panic!("no such kind: {other}"),
        };
        self.everybody.as_ref().or(of_kind.as_ref()).unwrap_or_else(|| panic!("no answer for {kind} in {self:?}"))
    }
}

/// A public and a private room with everybody around them, made anew for each request, which may change
/// them.
pub(crate) async fn askers(server: &TestServer) -> Vec<Asker> {
    let mut askers = Vec::new();
    let owner_grant = server.guest("Owner").await;
    let mut owner = Client::signed_in(server.somewhere(), &owner_grant.access_token).await;
    let public = room(&mut owner, "public").await;
    let private = room(&mut owner, "private").await;
    for (kind, asked) in
        [("outsider", &public), ("hidden", &private), ("left", &public), ("member", &public), ("admin", &public)]
    {
        let grant = server.guest(kind).await;
        if kind == "admin" {
            server.grant_admin(&grant.user.unwrap().handle).await;
        }
        let mut client = Client::signed_in(server.somewhere(), &grant.access_token).await;
        if matches!(kind, "left" | "member") {
            client.join(asked).await;
        }
        if kind == "left" {
            client.ok("room_leave", json!({"room": asked})).await;
        }
        askers.push(Asker { kind, client, token: grant.access_token, room: asked.clone() });
    }
    askers.push(Asker { kind: "owner", client: owner, token: owner_grant.access_token, room: public });
    askers
}

async fn room(owner: &mut Client, kind: &str) -> String {
    let made = owner.ok("room_create", json!({"name": kind, "kind": kind, "key": kind})).await;
    made["room"]["id"].as_str().unwrap().to_owned()
}

fn request(name: &str, asker: &Asker) -> Value {
    let room = &asker.room;
    match name {
        "auth" | "auth_renew" => json!({"token": asker.token}),
        "ping" | "room_list" => json!({}),
        "room_create" => json!({"name": "mine", "key": "mine"}),
        "room_search" => json!({"query": "public"}),
        "user_get" => json!({"users": ["1"]}),
        "message_send" => json!({"room": room, "key": "k", "text": "hi"}),
        "room_update" => json!({"room": room, "topic": "new"}),
        "room_invite" => json!({"room": room, "user": "1"}),
        "room_events" => json!({"room": room, "after": 0}),
        _ => json!({"room": room}),
    }
}

#[tokio::test]
async fn every_request_answers_every_kind_of_person_as_its_row_says() {
    let server = TestServer::with(&[("LIMITS__CONNECTIONS_PER_ADDRESS_BEFORE_AUTH", "1000")]);
    let matrix = matrix();
    for name in ClientFrame::REQUESTS {
        let row = matrix.get(*name).unwrap_or_else(|| panic!("{name} has no row"));
        for mut asker in askers(&server).await {
            let body = request(name, &asker);
            let id = asker.client.ask(name, body).await;
            let answer = asker.client.answer(id).await;
            let code = answer["error"]["code"].as_str().unwrap_or("ok");
            assert_eq!(code, row.expected(asker.kind), "{name} as {}: {answer}", asker.kind);
        }
    }
}

#[test]
fn every_row_is_a_request_or_a_list_of_routes() {
    for (name, row) in matrix() {
        let is_request = ClientFrame::REQUESTS.contains(&name.as_str()) || REST_ONLY.contains(&name.as_str());
        assert!(is_request || !row.routes.is_empty(), "{name} is no request");
    }
}
