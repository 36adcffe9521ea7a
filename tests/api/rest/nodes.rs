use std::time::{Duration, Instant};

use serde_json::Value;

use super::Http;
use crate::client::PATIENCE;
use crate::server::TestServer;

/// What is said of the node at this address.
fn node<'a>(nodes: &'a Value, address: &str) -> &'a Value {
    let mut found = nodes["nodes"].as_array().unwrap().iter().filter(|node| node["address"] == address);
    let node = found.next().unwrap_or_else(|| panic!("no {address} in {nodes}"));
    assert!(found.next().is_none(), "{address} twice in {nodes}");
    node
}

/// Asks again until there is an answer.
fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn an_administrator_sees_the_nodes_and_nobody_else_does() {
    let server = TestServer::start();
    let ada = Http::stranger(server.address).signed_up("Ada");
    ada.make_room("tea");
    ada.get("/api/v1/admin/nodes").error(403, "forbidden");
    server.grant_admin(ada.handle()).await;
    // Her node may believe for a while what it knew of her.
    let nodes = eventually("she may see them", || {
        let reply = ada.get("/api/v1/admin/nodes");
        (reply.status == 200).then_some(reply.json)
    });
    for address in server.addresses() {
        let node = node(&nodes, &address.to_string());
        assert_eq!(node["version"], env!("CARGO_PKG_VERSION"));
        assert!(node["started_at"].as_str().unwrap().ends_with('Z'));
        assert_eq!(node["status"]["connections"], 0);
    }
    // The welcome room and this one.
    assert_eq!(node(&nodes, &server.address.to_string())["status"]["rooms"], 2);
    eventually("nothing has to be archived", || {
        let nodes = ada.get("/api/v1/admin/nodes").ok(200);
        // A node that is alone has no archive.
        let lag = &node(&nodes, &server.address.to_string())["status"]["archive_lag_ms"];
        (lag.as_u64().unwrap_or(0) == 0).then_some(())
    });
    ada.get("/api/v1/admin/nodes?all=1").error(400, "invalid_request");
}

#[tokio::test]
async fn the_operators_listener_shows_the_nodes_to_who_knows_the_secret() {
    let server = TestServer::start();
    let _connected = server.person("Ada").await;
    let secret = std::fs::read_to_string(server.data().join("admin.token")).unwrap();
    let stranger = Http::stranger(server.admin_address);
    stranger.get("/admin/nodes").error(401, "unauthenticated");
    let nodes = stranger.with_token(secret.trim()).get("/admin/nodes").ok(200);
    let mut connected = 0;
    for address in server.addresses() {
        let status = &node(&nodes, &address.to_string())["status"];
        assert_eq!(status["connections"], status["users"]);
        connected += status["users"].as_u64().unwrap();
    }
    assert_eq!(connected, 1);
}
