//! What operators change while the server runs: for who is connected, at once, and back.

use std::process::Command;

use serde_json::{Value, json};

use crate::client::Client;
use crate::rest::Http;
use crate::server::TestServer;

pub(crate) fn operator(server: &TestServer) -> Http {
    let secret = std::fs::read_to_string(server.data().join("admin.token")).unwrap();
    Http::stranger(server.admin_address).with_token(secret.trim())
}

/// How many of ten messages that are said at once are taken.
async fn taken(client: &mut Client, room: &str, round: &str) -> usize {
    let mut asked = Vec::new();
    for number in 0..10 {
        let body = json!({"room": room, "key": format!("{round}-{number}"), "text": "hello"});
        asked.push(client.ask("message_send", body).await);
    }
    let mut taken = 0;
    for id in asked {
        let answer = client.answer(id).await;
        assert!(answer["ok"].is_object() || answer["error"]["code"] == "rate_limited", "{answer}");
        taken += usize::from(answer["ok"].is_object());
    }
    taken
}

#[tokio::test]
async fn a_limit_changes_for_who_is_connected_and_back() {
    let server = TestServer::with(&[("LIMITS__SENDS_BURST", "1000"), ("LIMITS__SENDS_PER_SECOND", "1000")]);
    let operator = operator(&server);
    let mut ada = server.person("Ada").await;
    let room = ada.make_room("tea").await;
    assert_eq!(taken(&mut ada, &room, "before").await, 10);
    let set = json!({"set": {"limits.sends_burst": "3", "limits.sends_per_second": "1"}, "if_version": 0, "by": "eve"});
    let made = operator.post("/admin/config", &set).ok(200);
    assert_eq!(
        (&made["version"], &made["by"], made["changes"].as_array().unwrap().len()),
        (&json!(1), &json!("eve"), 2)
    );
    let fewer = taken(&mut ada, &room, "meanwhile").await;
    assert!((3..8).contains(&fewer), "{fewer} of 10");
    let back = operator.post("/admin/config/rollback", &json!({})).ok(200);
    assert_eq!((&back["version"], &back["restores"]), (&json!(2), &json!(0)));
    let again = operator.post("/admin/config/rollback", &json!({}));
    assert_eq!(again.error(400, "invalid_request")["field"], "to");
    // A bucket that was emptied fills as fast as the rate says: 1000 a second.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(taken(&mut ada, &room, "after").await, 10);
    let status = operator.get("/admin/config/status").ok(200);
    assert_eq!((&status["version"], &status["nodes"][0]["version"]), (&json!(2), &json!(2)));
    let metrics = Http::stranger(server.admin_address).get("/metrics").text;
    assert!(metrics.lines().any(|line| line == "bobchat_settings_version 2"), "{metrics}");
}

#[test]
fn what_is_wrong_changes_nothing_and_is_told_at_once() {
    let server = TestServer::start();
    let operator = operator(&server);
    let set = json!({"limits.sends_burst": "0", "telemetry.log_filter": "loud", "redis.password": "x", "a.b": "c"});
    let refused = operator.post("/admin/config", &json!({ "set": set }));
    let text = refused.error(400, "invalid_request")["message"].as_str().unwrap().to_owned();
    for part in ["4 faults", "limits.sends_burst = \"0\"", "telemetry.log_filter", "redis.password", "a.b: no such key"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    let nobody = operator.post("/admin/config", &json!({"set": {"auth.guests": "false"}}));
    assert!(nobody.error(400, "invalid_request")["message"].as_str().unwrap().contains("nobody can sign in"));
    operator.post("/admin/config", &json!({"sett": {}})).error(400, "invalid_request");
    operator.post("/admin/config/rollback", &json!({})).error(400, "invalid_request");
    operator.get("/admin/config/history?limits=3").error(400, "invalid_request");
    let held = operator.get("/admin/config").ok(200);
    assert_eq!((&held["version"], &held["faults"]), (&json!(0), &json!([])));
    operator.post("/admin/config", &json!({"set": {"limits.sends_burst": "7"}})).ok(200);
    let late = operator.post("/admin/config", &json!({"set": {"limits.sends_burst": "8"}, "if_version": 0}));
    assert_eq!(late.error(400, "invalid_request")["field"], "if_version");
    let held = operator.get("/admin/config").ok(200);
    let burst = held["settings"].as_array().unwrap().iter().find(|known| known["key"] == "limits.sends_burst").unwrap();
    assert_eq!(burst, &json!({"key": "limits.sends_burst", "value": "7", "origin": "version 1", "live": true}));
    assert!(!held.to_string().contains("admin.token"));
}

#[test]
fn who_does_not_know_the_secret_reads_and_changes_no_settings() {
    let server = TestServer::start();
    let stranger = Http::stranger(server.admin_address);
    for path in ["/admin/config", "/admin/config/history", "/admin/config/status"] {
        stranger.get(path).error(401, "unauthenticated");
    }
    for path in ["/admin/config", "/admin/config/rollback"] {
        stranger.with_token("x").post(path, &json!({})).error(401, "unauthenticated");
        let public = operator(&server);
        let public = Http::stranger(server.address).with_token(public.token());
        assert_eq!(public.post(path, &json!({})).status, 405);
    }
}

/// Runs `bobchat config`; gives its exit code and all that it said.
fn config(server: &str, admin: &str, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bobchat"));
    command.env_clear().args(["--config", "/dev/null", "--data", server, "--admin-listen", admin, "config"]);
    let output = command.args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[test]
fn the_command_line_changes_settings_with_a_server_and_without_and_they_outlive_it() {
    let server = TestServer::start();
    let (data, admin) = (server.data().to_str().unwrap().to_owned(), server.admin_address.to_string());
    let run = |arguments: &[&str]| config(&data, &admin, arguments);
    let (code, said) =
        run(&["set", "limits.sends_burst=7", "limits.room_idle=1m", "--note", "a busy day", "--by", "ada"]);
    assert_eq!(code, 0, "{said}");
    let through = format!("by ada, through {}: a busy day", server.address);
    for part in
        [&through, "limits.sends_burst: 10 (own) -> 7", "limits.room_idle: \"5m\" (own) -> \"1m\"", "1 of 1 nodes"]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert_eq!(run(&["get", "limits.sends_burst"]), (0, "limits.sends_burst = 7  # version 1\n".to_owned()));
    assert_eq!(run(&["get", "limits.nothing"]).0, 1);
    assert_eq!(run(&["get"]).1.lines().count(), bobchat::config::LIVE_KEYS.len());
    let (code, said) = run(&["set", "limits.sends_burst=0", "server.listen=1"]);
    assert!(code == 1 && said.contains("2 faults") && said.contains("restart"), "{said}");
    assert!(run(&["set", "limits.sends_burst=8", "--if-version", "0"]).1.contains("version 1 stands, not 0"));
    let (code, said) = run(&["status"]);
    assert!(code == 0 && said.contains("version 1 is the newest"), "{said}");
    let folder = server.stop();
    assert!(run(&["get", "limits.room_idle"]).1.contains("\"1m\"  # version 1"), "without a server");
    let (code, said) = run(&["unset", "limits.room_idle"]);
    assert!(code == 0 && said.contains("through the command line") && said.contains("next start"), "{said}");
    assert_eq!(run(&["status"]).0, 1, "nobody to ask");
    drop(folder);
}

#[test]
fn settings_outlive_a_restart_with_the_history_of_who_changed_what() {
    let server = TestServer::start();
    let set =
        json!({"set": {"limits.guests_burst": "2", "limits.guests_per_minute": "1"}, "by": "ada", "note": "flood"});
    operator(&server).post("/admin/config", &set).ok(200);
    let server = server.restart();
    let operator = operator(&server);
    let history = operator.get("/admin/config/history").ok(200);
    let [version] = history["versions"].as_array().unwrap().as_slice() else { panic!("{history}") };
    assert_eq!((&version["by"], &version["note"], &version["version"]), (&json!("ada"), &json!("flood"), &json!(1)));
    let change = json!({"key": "limits.guests_burst", "from": "20", "from_own": true, "to": "2", "to_own": false});
    assert_eq!(version["changes"][0], change);
    let stranger = Http::stranger(server.address);
    let tried: Vec<u16> = (0..3).map(|_| stranger.post("/api/v1/guests", &json!({"name": "Eve"})).status).collect();
    assert_eq!(tried, [201, 201, 429], "it holds before the first client comes");
    let status: Value = operator.get("/admin/config/status").ok(200);
    assert_eq!(status["nodes"][0]["version"], 1);
}

/// Somebody changed its file, and what stands contradicts that now.
#[test]
fn a_node_that_starts_and_finds_the_newest_version_wrong_serves_and_shows_the_one_before() {
    let server = TestServer::start();
    let operate = operator(&server);
    operate
        .post("/admin/config", &json!({"set": {"limits.guests_burst": "2", "limits.guests_per_minute": "1"}}))
        .ok(200);
    operate.post("/admin/config", &json!({"set": {"limits.outbound_bytes_max": "4MiB"}})).ok(200);
    let server = server.restart_with(&[("LIMITS__OUTBOUND_BYTES_TOTAL_MAX", "2MiB")]);
    let stranger = Http::stranger(server.address);
    let tried: Vec<u16> = (0..3).map(|_| stranger.post("/api/v1/guests", &json!({"name": "Eve"})).status).collect();
    assert_eq!(tried, [201, 201, 429], "the first version holds");
    let status: Value = operator(&server).get("/admin/config/status").ok(200);
    assert_eq!((&status["nodes"][0]["version"], &status["nodes"][0]["refused"]), (&json!(1), &json!(2)));
    let (data, admin) = (server.data().to_str().unwrap().to_owned(), server.admin_address.to_string());
    let shown = config(&data, &admin, &["get", "limits.guests_burst", "limits.outbound_bytes_max"]).1;
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[..2], ["limits.outbound_bytes_max = \"1MiB\"  # default", "limits.guests_burst = 2  # version 1"]);
    assert!(lines[2].starts_with("# version 2 is wrong for this node, version 1 holds: limits.outbound"), "{shown}");
}
