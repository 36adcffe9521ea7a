use serde_json::json;

use super::Http;
use crate::server::TestServer;

/// Somebody who may read the data folder.
fn operator(server: &TestServer) -> Http {
    let secret = std::fs::read_to_string(server.data().join("admin.token")).unwrap();
    Http::stranger(server.admin_address).with_token(secret.trim())
}

#[test]
fn metrics_and_health_are_open_on_the_operators_listener() {
    let server = TestServer::start();
    let ada = Http::stranger(server.address).signed_up("Ada");
    ada.get(&format!("/api/v1/rooms/{}", ada.make_room("tea"))).ok(200);
    let scraper = Http::stranger(server.admin_address);
    assert_eq!((scraper.get("/healthz").status, scraper.get("/readyz").text.as_str()), (200, "ready\n"));
    let metrics = scraper.get("/metrics");
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    for line in [
        "bobchat_http_requests_total{method=\"GET\",route=\"/api/v1/rooms/{room}\",status=\"200\"} 1",
        "bobchat_build_info{version=",
        "process_resident_memory_bytes ",
        "bobchat_sessions ",
        "# EOF",
    ] {
        assert!(metrics.text.lines().any(|found| found.starts_with(line)), "{line} in\n{}", metrics.text);
    }
    let id = ada.user["id"].as_str().unwrap();
    assert!(!metrics.text.contains(id), "no label grows with users");
}

#[test]
fn the_public_listener_has_none_of_it() {
    let server = TestServer::start();
    let public = operator(&server);
    let public = Http::stranger(server.address).with_token(public.token());
    for path in ["/metrics", "/healthz", "/readyz", "/admin/grant", "/admin/backup", "/admin/token", "/admin/nodes"] {
        let page = public.get(path);
        assert!(!page.text.contains("bobchat_") && !page.text.contains("ready"), "{path}: {}", page.text);
        assert_eq!(public.post(path, &json!({"handle": "ada", "path": "/x", "count": 1, "seconds": 1})).status, 405);
    }
    for path in ["/api/v1/rooms", "/api/docs", "/", "/.well-known/jwks.json"] {
        Http::stranger(server.admin_address).get(path).error(404, "not_found");
    }
}

#[test]
fn who_does_not_know_the_secret_changes_nothing() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada");
    let stranger = Http::stranger(server.admin_address);
    for caller in [stranger.clone(), stranger.with_token("x"), stranger.with_token(ada.token())] {
        for (path, body) in [
            ("/admin/grant", json!({"handle": "ada"})),
            ("/admin/token", json!({"count": 1, "seconds": 60})),
            ("/admin/backup", json!({"path": "/dev/null/x"})),
        ] {
            caller.post(path, &body).error(401, "unauthenticated");
        }
    }
}

#[test]
fn an_operator_grants_rights_and_makes_tokens() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada");
    let operator = operator(&server);
    let handle = format!("@{}", ada.handle());
    assert_eq!(operator.post("/admin/grant", &json!({ "handle": handle })).status, 204);
    operator.post("/admin/grant", &json!({"handle": "nobody"})).error(404, "not_found");
    operator.post("/admin/grant", &json!({ "handel": handle })).error(400, "invalid_request");
    let bea = Http::guest(&server, "Bea");
    let room = bea.make_room("tea");
    ada.send("PATCH", &format!("/api/v1/rooms/{room}"), &[], &json!({"topic": "by an admin"})).ok(200);
    let made = operator.post("/admin/token", &json!({"count": 2, "seconds": 60})).ok(200);
    let again = operator.post("/admin/token", &json!({"count": 1, "seconds": 60})).ok(200);
    assert_eq!(made["tokens"][0]["user"], again["tokens"][0]["user"], "the same user");
    let token = made["tokens"][1]["access_token"].as_str().unwrap();
    let load = Http::stranger(server.address).with_token(token);
    assert_eq!(load.get("/api/v1/me").ok(200)["handle"], "load-000002");
    operator.post("/admin/token", &json!({"count": 100_001, "seconds": 1})).error(400, "invalid_request");
}
