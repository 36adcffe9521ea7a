//! Every wrong request gets a clear error in the one shape, naming the field.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::Http;
use crate::client::PATIENCE;
use crate::server::TestServer;

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn a_wrong_body_is_refused_with_its_field() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada");
    let path = format!("/api/v1/rooms/{}/messages", ada.make_room("tea"));
    let long = json!({"text": "x".repeat(16 * 1024 + 1)}).to_string();
    let huge = json!({"text": "x".repeat(64 * 1024)}).to_string();
    let deep = "[".repeat(10_000);
    for (body, status, code, field) in [
        ("", 400, "invalid_request", Value::Null),
        ("{", 400, "invalid_request", Value::Null),
        ("[]", 400, "invalid_request", Value::Null),
        (r#"["text"]"#, 400, "invalid_request", Value::Null),
        ("null", 400, "invalid_request", Value::Null),
        (r#"{"text":"a"} x"#, 400, "invalid_request", Value::Null),
        (r#"{"text":5}"#, 400, "invalid_request", json!("text")),
        (r#"{"text":"\ud800"}"#, 400, "invalid_request", json!("text")),
        ("{\"text\":\"\u{0}\"}", 400, "invalid_request", json!("text")),
        (r#"{"text":""}"#, 400, "invalid_request", json!("text")),
        (r#"{}"#, 400, "invalid_request", json!("text")),
        (r#"{"text":"a","seq":7}"#, 400, "invalid_request", json!("seq")),
        (r#"{"text":"a","room":"1"}"#, 400, "invalid_request", json!("room")),
        (r#"{"text":"a","author":"1"}"#, 400, "invalid_request", json!("author")),
        (deep.as_str(), 400, "invalid_request", Value::Null),
        (long.as_str(), 413, "message_too_large", json!("text")),
        (huge.as_str(), 413, "too_large", Value::Null),
    ] {
        let reply = ada.call("POST", &path, &[JSON], body.as_bytes());
        let error = reply.error(status, code);
        assert_eq!(error["field"], field, "{body:.80}: {error}");
    }
    ada.call("POST", &path, &[JSON], b"{\"text\":\"\xff\"}").error(400, "invalid_request");
    ada.call("POST", &path, &[JSON], br#"{"text":"still here"}"#).ok(201);
}

#[test]
fn a_body_that_is_not_said_to_be_plain_json_is_not_read() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada");
    for headers in [
        vec![],
        vec![("content-type", "text/plain")],
        vec![("content-type", "application/x-www-form-urlencoded")],
        vec![JSON, ("content-encoding", "gzip")],
    ] {
        let reply = ada.call("POST", "/api/v1/rooms", &headers, br#"{"name":"tea"}"#);
        let field = reply.error(400, "invalid_request")["field"].clone();
        assert!(field == "content-type" || field == "content-encoding", "{headers:?} {field}");
    }
    ada.call("POST", "/api/v1/rooms", &[("content-type", "application/json; charset=utf-8")], br#"{"name":"tea"}"#)
        .ok(201);
}

#[test]
fn a_body_that_is_declared_too_long_is_refused_before_it_comes() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada");
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /api/v1/rooms HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 1099511627776\r\n\r\n",
        ada.token()
    );
    socket.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[test]
fn wrong_paths_and_parameters_are_refused_with_their_field() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada");
    for (path, field) in [
        ("/api/v1/rooms/tea", "room"),
        ("/api/v1/rooms/0", "room"),
        ("/api/v1/rooms/-1", "room"),
        ("/api/v1/rooms/99999999999999999999", "room"),
        ("/api/v1/rooms/1%2F2", "room"),
        ("/api/v1/rooms/1/messages?limit=0", "limit"),
        ("/api/v1/rooms/1/messages?limit=201", "limit"),
        ("/api/v1/rooms/1/messages?limit=x", "limit"),
        ("/api/v1/rooms/1/messages?limit=1&limit=2", "limit"),
        ("/api/v1/rooms/1/messages?before=-1", "before"),
        ("/api/v1/rooms/1/messages?before=1&after=2", "before"),
        ("/api/v1/rooms/1/messages?befor=1", "befor"),
        ("/api/v1/rooms/1/messages?around=9223372036854775808", "around"),
        ("/api/v1/rooms/1/events?after=1e3", "after"),
        ("/api/v1/rooms/1/events?after=9223372036854775808", "after"),
        ("/api/v1/rooms?after=00", "after"),
        ("/api/v1/rooms/search?q=tea", "q"),
        ("/api/v1/users?ids=", "ids"),
        ("/api/v1/users?ids=1,,2", "ids"),
        ("/api/v1/users?ids=1%202", "ids"),
    ] {
        let reply = ada.get(path);
        assert_eq!(reply.error(400, "invalid_request")["field"], field, "{path}: {}", reply.text);
    }
    let many = (1..=201).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    ada.get(&format!("/api/v1/users?ids={many}")).error(400, "invalid_request");
}

#[test]
fn what_is_not_there_and_what_is_not_done_there_are_told_apart() {
    let server = TestServer::start();
    let stranger = Http::visitor(&server);
    for path in ["/api", "/api/", "/api/v1", "/api/v1/", "/api/v1/room", "/api/v2/rooms", "/.well-known/x"] {
        stranger.get(path).error(404, "not_found");
    }
    for (method, path, allowed) in [
        ("PUT", "/api/v1/rooms", "GET, POST"),
        ("DELETE", "/api/v1/me", "GET"),
        ("POST", "/api/v1/rooms/1", "GET, PATCH"),
        ("GET", "/api/v1/guests", "POST"),
        ("POST", "/api/v1/openapi.json", "GET"),
    ] {
        let reply = stranger.call(method, path, &[], b"");
        reply.error(405, "method_not_allowed");
        assert_eq!(reply.header("allow"), allowed, "{method} {path}");
    }
}

#[test]
fn one_has_to_be_a_member() {
    let server = TestServer::start();
    let (ada, eve) = (Http::guest(&server, "Ada"), Http::guest(&server, "Eve"));
    let room = ada.make_room("tea");
    eve.post(&format!("/api/v1/rooms/{room}/messages"), &json!({"text": "hi"})).error(403, "not_a_member");
    eve.get(&format!("/api/v1/rooms/{room}/messages")).error(403, "not_a_member");
    eve.get("/api/v1/rooms/424242").error(404, "not_found");
    ada.post(&format!("/api/v1/rooms/{room}/members"), &json!({"user": "x"})).error(400, "invalid_request");
    ada.post(&format!("/api/v1/rooms/{room}/members"), &json!({"user": "424242"})).error(404, "not_found");
}

#[test]
fn answers_are_nobody_elses_to_keep() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada");
    for reply in [ada.get("/api/v1/me"), ada.get("/api/v1/nothing"), Http::visitor(&server).get("/api/v1/me")] {
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
    }
}
