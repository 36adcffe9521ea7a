use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::Http;
use crate::client::Client;
use crate::server::TestServer;

#[test]
fn without_a_good_token_nothing_is_told() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada");
    let stranger = Http::visitor(&server);
    let (message, signature) = ada.token().rsplit_once('.').unwrap();
    let none = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), message.split_once('.').unwrap().1);
    let long = "a".repeat(9_000);
    let turned: String = signature.chars().rev().collect();
    for token in ["", "x", message, &none, &long, &format!("{message}.{turned}"), ada.refresh_token.as_str()] {
        for (method, path) in [("GET", "/api/v1/me"), ("GET", "/api/v1/rooms/1"), ("DELETE", "/api/v1/session")] {
            stranger.with_token(token).call(method, path, &[], b"").error(401, "unauthenticated");
        }
    }
    stranger.get("/api/v1/me").error(401, "unauthenticated");
    let basic = stranger.call("GET", "/api/v1/me", &[("authorization", "Basic YTpi")], b"");
    basic.error(401, "unauthenticated");
    let lower = format!("bearer {}", ada.token());
    stranger.call("GET", "/api/v1/me", &[("authorization", lower.as_str())], b"").ok(200);
}

#[test]
fn a_token_in_the_address_is_no_token() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada");
    let path = format!("/api/v1/me?access_token={}", ada.token());
    Http::visitor(&server).get(&path).error(401, "unauthenticated");
}

#[tokio::test]
async fn signing_out_ends_the_tokens_and_closes_the_sockets() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada");
    let mut desk = Client::signed_in(server.somewhere(), ada.token()).await;
    let mut phone = Client::signed_in(server.somewhere(), ada.token()).await;
    assert_eq!(ada.call("DELETE", "/api/v1/session", &[], b"").status, 204);
    // Wherever they are tried.
    ada.get("/api/v1/me").error(401, "unauthenticated");
    ada.get("/api/v1/me").error(401, "unauthenticated");
    let refresh = json!({"refresh_token": ada.refresh_token});
    ada.post("/api/v1/tokens/refresh", &refresh).error(401, "unauthenticated");
    assert_eq!((desk.closed().await, phone.closed().await), (Some(4403), Some(4403)));
}

#[tokio::test]
async fn a_refresh_token_that_is_used_again_ends_the_device() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada");
    let mut socket = Client::signed_in(server.somewhere(), ada.token()).await;
    let refresh = |token: &str| ada.post("/api/v1/tokens/refresh", &json!({"refresh_token": token}));
    let second = refresh(&ada.refresh_token).ok(200);
    assert_eq!(second["user"], ada.user);
    assert_eq!(refresh(&ada.refresh_token).ok(200)["refresh_token"], second["refresh_token"], "a lost answer");
    let third = refresh(second["refresh_token"].as_str().unwrap()).ok(200);
    ada.with_token(third["access_token"].as_str().unwrap()).get("/api/v1/me").ok(200);
    refresh(&ada.refresh_token).error(401, "unauthenticated");
    refresh(third["refresh_token"].as_str().unwrap()).error(401, "unauthenticated");
    ada.with_token(third["access_token"].as_str().unwrap()).get("/api/v1/me").error(401, "unauthenticated");
    assert_eq!(socket.closed().await, Some(4403));
}

#[test]
fn tokens_and_people_outlive_a_restart() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada");
    let server = server.restart();
    let again = Http::visitor(&server).with_token(ada.token());
    assert_eq!(again.get("/api/v1/me").ok(200), ada.user);
    again.post("/api/v1/tokens/refresh", &json!({"refresh_token": ada.refresh_token})).ok(200);
}

#[test]
fn one_address_makes_so_many_guests_and_no_header_of_its_own_helps() {
    let server = TestServer::with(&[("LIMITS__GUESTS_BURST", "3"), ("LIMITS__GUESTS_PER_MINUTE", "1")]);
    // Each node counts for itself.
    let stranger = Http::stranger(server.address);
    let sign_up = |forwarded: &str| {
        stranger.send("POST", "/api/v1/guests", &[("x-forwarded-for", forwarded)], &json!({"name": "Ada"}))
    };
    for number in 0..3 {
        sign_up(&format!("192.0.2.{number}")).ok(201);
    }
    let refused = sign_up("192.0.2.77");
    assert!(refused.error(429, "rate_limited")["retry_after_ms"].as_u64().unwrap() > 30_000);
}

#[test]
fn behind_a_trusted_proxy_each_client_has_its_own_limit() {
    let server = TestServer::with(&[
        ("LIMITS__GUESTS_BURST", "1"),
        ("LIMITS__GUESTS_PER_MINUTE", "1"),
        ("SERVER__TRUSTED_PROXIES", "127.0.0.1"),
    ]);
    let stranger = Http::stranger(server.address);
    let sign_up = |forwarded: &str| {
        stranger.send("POST", "/api/v1/guests", &[("x-forwarded-for", forwarded)], &json!({"name": "Ada"}))
    };
    sign_up("192.0.2.1").ok(201);
    sign_up("203.0.113.5, 192.0.2.1").error(429, "rate_limited");
    sign_up("192.0.2.2").ok(201);
}

#[test]
fn a_name_that_is_none_is_refused_with_its_field() {
    let server = TestServer::start();
    let stranger = Http::visitor(&server);
    for name in ["", " ", "a\u{202E}b", &"x".repeat(41)] {
        let reply = stranger.post("/api/v1/guests", &json!({ "name": name }));
        assert_eq!(reply.error(400, "invalid_request")["field"], "name");
    }
    stranger.post("/api/v1/guests", &json!({"name": "Ada", "admin": true})).error(400, "invalid_request");
}

#[test]
fn the_keys_are_published() {
    let server = TestServer::start();
    let reply = Http::visitor(&server).get("/.well-known/jwks.json");
    assert_eq!(reply.header("cache-control"), "public, max-age=300");
    let keys = reply.ok(200);
    assert_eq!((&keys["keys"][0]["alg"], &keys["keys"][0]["crv"]), (&json!("EdDSA"), &json!("Ed25519")));
    assert!(keys["keys"][0]["d"].is_null(), "the public part alone");
}
