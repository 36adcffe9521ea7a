//! The matrix in `actors/authorization.toml`, held against every route of the API.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Http;
use crate::authorization::{Asker, askers, matrix};
use crate::server::TestServer;

/// Every route of the OpenAPI document, as `GET /api/v1/rooms`.
fn documented() -> BTreeSet<String> {
    let document = bobchat::web::rest::document();
    let mut routes = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            routes.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    routes
}

#[test]
fn every_route_stands_in_the_matrix_and_every_route_there_exists() {
    let mut listed = BTreeSet::new();
    for row in matrix().into_values() {
        listed.extend(row.route);
        listed.extend(row.routes);
    }
    assert_eq!(listed, documented());
}

fn body(request: &str) -> Value {
    match request {
        "message_send" => json!({"text": "hi"}),
        "room_create" => json!({"name": "mine"}),
        "room_update" => json!({"topic": "new"}),
        "room_invite" => json!({"user": "1"}),
        _ => json!({}),
    }
}

#[tokio::test]
async fn every_route_answers_every_kind_of_person_as_its_row_says() {
    let server = TestServer::with(&[("LIMITS__CONNECTIONS_PER_ADDRESS_BEFORE_AUTH", "1000")]);
    for (request, row) in matrix() {
        let Some(route) = &row.route else { continue };
        let (method, path) = route.split_once(' ').unwrap();
        for Asker { kind, token, room, .. } in askers(&server).await {
            let query = if request == "user_get" { "?ids=1" } else { "" };
            let path = format!("{}{query}", path.replace("{room}", &room));
            let reply = Http::visitor(&server).with_token(&token).send(method, &path, &[], &body(&request));
            let code = reply.json["code"].as_str().unwrap_or("ok");
            assert_eq!(code, row.expected(kind), "{route} as {kind}: {}", reply.text);
        }
    }
}

#[test]
fn without_a_token_only_the_open_routes_answer() {
    let server = TestServer::start();
    let open = matrix().remove("open").unwrap().routes;
    let stranger = Http::visitor(&server);
    for route in documented() {
        let (method, path) = route.split_once(' ').unwrap();
        let reply = stranger.send(method, &path.replace("{room}", "1"), &[], &json!({}));
        assert_eq!(reply.json["code"] != "unauthenticated", open.contains(&route) && reply.status != 401, "{route}");
    }
}
