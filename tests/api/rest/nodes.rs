use super::Http;
use crate::server::TestServer;

#[tokio::test]
async fn an_administrator_sees_the_nodes_and_nobody_else_does() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada");
    ada.make_room("tea");
    ada.get("/api/v1/admin/nodes").error(403, "forbidden");
    server.grant_admin("ada").await;
    let nodes = ada.get("/api/v1/admin/nodes").ok(200)["nodes"].clone();
    assert_eq!(nodes.as_array().unwrap().len(), 1, "a node that is alone: {nodes}");
    let node = &nodes[0];
    assert_eq!(node["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(node["address"], server.address.to_string());
    assert!(node["started_at"].as_str().unwrap().ends_with('Z'));
    // The welcome room and this one.
    assert_eq!((&node["status"]["connections"], &node["status"]["rooms"]), (&0.into(), &2.into()));
    assert!(node["status"]["archive_lag_ms"].is_null(), "nothing has to be archived");
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
    assert_eq!(
        (&nodes["nodes"][0]["status"]["connections"], &nodes["nodes"][0]["status"]["users"]),
        (&1.into(), &1.into())
    );
}
