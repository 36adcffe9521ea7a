use scylla::client::session_builder::SessionBuilder;

use crate::cassandra;
use crate::command::Settings;
use crate::guard;

/// Runs a statement on the Cassandra that all tests share.
pub(crate) fn cql(statement: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let session = SessionBuilder::new().known_node(cassandra::shared().address()).build().await.unwrap();
        session.query_unpaged(statement, ()).await.unwrap();
        session.await_schema_agreement().await.unwrap();
    });
}

fn settings(folder: &tempfile::TempDir) -> Settings {
    // Nobody asks Redis for the schema.
    Settings::cluster(folder.path(), "redis://127.0.0.1:1")
}

#[test]
fn the_schema_is_shown_made_and_then_complete() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let keyspace = settings.get("CASSANDRA__KEYSPACE");
    let said = settings.run(&["schema"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    for part in [
        format!("-- keyspace {keyspace}: not there"),
        "-- missing: 1, ".to_owned(),
        "CREATE TABLE IF NOT EXISTS room_log (".to_owned(),
    ] {
        assert!(said.stdout.contains(&part), "{part} in {}", said.stdout);
    }
    let said = settings.run(&["schema", "--apply"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stdout.contains("copies of each row: 1") && !said.stdout.contains("missing"), "{}", said.stdout);
    assert_eq!(settings.run(&["schema"]).stdout, said.stdout);
}

#[test]
fn three_that_apply_it_at_once_make_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let started: Vec<_> = (0..3).map(|_| guard::spawn(settings.command(&["schema", "--apply"])).unwrap()).collect();
    for mut applying in started {
        assert!(applying.wait().unwrap().success());
    }
    assert!(!settings.run(&["schema"]).stdout.contains("missing"));
}

#[test]
fn a_newer_schema_is_shown_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    settings.run(&["schema", "--apply"]);
    let keyspace = settings.get("CASSANDRA__KEYSPACE");
    cql(&format!("UPDATE {keyspace}.schema_version SET version = 1000 WHERE id = 0 IF EXISTS"));
    assert!(settings.run(&["schema", "--apply"]).stdout.contains("a newer bobchat has added to it"));
    cql(&format!("UPDATE {keyspace}.schema_version SET version = 1000 WHERE id = 1 IF EXISTS"));
    let said = settings.run(&["schema"]);
    assert!(said.stdout.contains("a newer bobchat has changed it"), "{}", said.stdout);
    let said = settings.run(&["schema", "--apply"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("use a newer bobchat"), "{}", said.stderr);
    settings.run(&["check"]).finds("BAD", "use a newer bobchat");
}

#[test]
fn a_server_that_is_alone_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let said = Settings::alone(folder.path()).run(&["schema"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("the server is alone"), "{}", said.stderr);
}
