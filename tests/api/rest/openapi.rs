use std::path::Path;

use serde_json::Value;

use super::Http;
use crate::server::TestServer;

const SNAPSHOT: &str = "tests/api/rest/openapi.json";

/// Method and path of every operation.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        let item = item.as_object().unwrap().iter();
        item.map(move |(method, operation)| (method.to_uppercase(), path.clone(), operation))
    });
    operations.collect()
}

#[test]
fn the_document_is_the_one_that_was_agreed_on() {
    let document = serde_json::to_string_pretty(&bobchat::web::rest::document()).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(SNAPSHOT);
    if std::env::var_os("BOBCHAT_REGENERATE").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let agreed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(document == agreed, "the API has changed: look at the difference that `make generate` makes to {SNAPSHOT}");
}

#[test]
fn every_operation_is_a_route_and_asks_for_a_token_where_it_says_so() {
    let server = TestServer::start();
    let stranger = Http::visitor(&server);
    let document = stranger.get("/api/v1/openapi.json").ok(200);
    assert_eq!(document["openapi"], "3.1.0");
    let operations = operations(&document);
    assert_eq!(operations.len(), 21);
    for (method, path, operation) in operations {
        let is_open = operation["security"].as_array().is_some_and(|schemes| schemes.iter().any(is_empty));
        let reply = stranger.call(&method, &path.replace("{room}", "1"), &[], b"");
        let expected = if is_open { [200, 400] } else { [401, 401] };
        assert!(expected.contains(&reply.status), "{method} {path}: {} {}", reply.status, reply.text);
        assert!(operation["summary"].is_string() && operation["operationId"].is_string(), "{method} {path}");
        assert!(operation["responses"]["default"].is_object(), "{method} {path}");
    }
}

fn is_empty(scheme: &Value) -> bool {
    scheme.as_object().is_some_and(serde_json::Map::is_empty)
}

#[test]
fn answers_have_the_fields_that_the_document_calls_required() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada");
    let room = ada.make_room("tea");
    ada.say(&room, "hello");
    let document = bobchat::web::rest::document();
    for (path, schema) in [
        ("/api/v1/me".to_owned(), "User"),
        ("/api/v1/rooms".to_owned(), "RoomListOk"),
        (format!("/api/v1/rooms/{room}"), "RoomGetOk"),
        (format!("/api/v1/rooms/{room}/messages"), "MessageHistoryOk"),
        (format!("/api/v1/rooms/{room}/events"), "RoomEventsOk"),
        (format!("/api/v1/rooms/{room}/members"), "RoomMembersOk"),
        (format!("/api/v1/rooms/{room}/presence"), "RoomPresenceOk"),
        ("/api/v1/rooms/nothing".to_owned(), "Error"),
    ] {
        check(&document, &document["components"]["schemas"][schema], &ada.get(&path).json, &path);
    }
}

/// Holds a value against as much of JSON Schema as the document uses.
fn check(document: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return check(document, &document["components"]["schemas"][name], value, place);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        check(document, part, value, place);
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        assert!(!value[required.as_str().unwrap()].is_null(), "{place} lacks {required}: {value}");
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if !value[name].is_null() {
            check(document, property, &value[name], &format!("{place}.{name}"));
        }
    }
    for item in value.as_array().into_iter().flatten() {
        check(document, &schema["items"], item, &format!("{place}[]"));
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert!(kinds.contains(&kind), "{place} is {value}, not {kinds:?}");
}
