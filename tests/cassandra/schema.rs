use bobchat::adapters::cassandra::{CassandraStore, Keyspace, OpenError, STEPS, SchemaStatus};
use futures_util::future::join_all;

use crate::support::{clock, look, new_keyspace, open, options};

fn newest() -> u32 {
    STEPS.last().unwrap().version
}

#[tokio::test]
async fn nodes_that_start_at_once_make_each_table_once() {
    let keyspace = new_keyspace();
    let options = options(&keyspace);
    let before = CassandraStore::show_schema(&options).await.unwrap();
    assert_eq!(before, SchemaStatus { version: 0, oldest: 0, known: newest(), replication: None });
    assert_eq!(before.missing().count(), STEPS.len());

    join_all((0..3).map(|_| open(&options))).await;
    let after = CassandraStore::show_schema(&options).await.unwrap();
    let oldest = STEPS.last().unwrap().oldest;
    assert_eq!(after, SchemaStatus { version: newest(), oldest, known: newest(), replication: Some(1) });
    assert_eq!(after.missing().count(), 0);

    // A table made twice would have another identifier than the one its nodes hold it under.
    let session = look(&keyspace).await;
    let asked = "SELECT table_name, id FROM system_schema.tables WHERE keyspace_name = ?";
    let tables = async || {
        let rows = session.query_unpaged(asked, (keyspace.as_str(),)).await.unwrap().into_rows_result().unwrap();
        let rows: Vec<_> = rows.rows::<(String, scylla::value::CqlValue)>().unwrap().map(Result::unwrap).collect();
        format!("{rows:?}")
    };
    let made = tables().await;
    open(&options).await;
    assert_eq!(tables().await, made, "a start that finds everything changes nothing");
}

/// What a newer version leaves: it steps up, and says which version a program must know.
async fn step_up(keyspace: &Keyspace, version: u32, oldest: Option<u32>) {
    let session = look(keyspace).await;
    session.query_unpaged("ALTER TABLE room_head ADD IF NOT EXISTS later int", ()).await.unwrap();
    let number = |version: u32| i32::try_from(version).unwrap();
    let set = "UPDATE schema_version SET version = ? WHERE id = ? IF EXISTS";
    session.query_unpaged(set, (number(version), 0)).await.unwrap();
    match oldest {
        Some(oldest) => session.query_unpaged(set, (number(oldest), 1)).await.unwrap(),
        None => session.query_unpaged("DELETE FROM schema_version WHERE id = 1 IF EXISTS", ()).await.unwrap(),
    };
}

/// Or an upgrade could not be taken back, and a node of the old version that restarts amid it would stay down.
#[tokio::test]
async fn a_newer_schema_that_only_adds_is_worked_with() {
    let keyspace = new_keyspace();
    let options = options(&keyspace);
    open(&options).await;
    step_up(&keyspace, newest() + 2, Some(newest())).await;
    open(&options).await;
    let status = CassandraStore::show_schema(&options).await.unwrap();
    assert_eq!((status.version, status.is_usable()), (newest() + 2, true), "and it is left as it is");
}

#[tokio::test]
async fn a_newer_schema_that_asks_for_a_newer_program_is_refused() {
    let keyspace = new_keyspace();
    let options = options(&keyspace);
    open(&options).await;
    // Half done, done, and by a program that did not say what it asks for.
    for (version, oldest) in [(newest(), Some(newest() + 1)), (newest() + 1, Some(newest() + 1)), (newest() + 1, None)]
    {
        step_up(&keyspace, version, oldest).await;
        let refused = CassandraStore::open(&options, clock()).await.err().unwrap();
        assert!(matches!(refused, OpenError::NewerSchema { oldest, known, .. } if oldest == known + 1), "{refused}");
        let said = refused.to_string();
        assert!(said.contains(keyspace.as_str()) && said.contains("use a newer bobchat"), "{said}");
        assert_eq!(CassandraStore::show_schema(&options).await.unwrap().version, version, "it can be looked at");
    }
}

/// A keyspace of a version that did not know of the rule goes on, and says what it asks for from its next step on.
#[tokio::test]
async fn a_keyspace_that_does_not_say_what_it_asks_for_learns_it_with_the_next_step() {
    let keyspace = new_keyspace();
    let options = options(&keyspace);
    open(&options).await;
    step_up(&keyspace, newest() - 1, None).await;
    open(&options).await;
    let session = look(&keyspace).await;
    let rows = session.query_unpaged("SELECT version FROM schema_version WHERE id = 1", ()).await.unwrap();
    let (noted,) = rows.into_rows_result().unwrap().first_row::<(i32,)>().unwrap();
    assert_eq!(u32::try_from(noted).unwrap(), STEPS.last().unwrap().oldest);
}

/// Its lease ends by itself; then another node does the step that it did not finish.
#[tokio::test]
async fn a_node_that_died_while_it_changed_the_schema_holds_nobody_up_for_long() {
    let keyspace = new_keyspace();
    let options = options(&keyspace);
    open(&options).await;
    let session = look(&keyspace).await;
    session.query_unpaged("DROP TABLE deployment", ()).await.unwrap();
    session.query_unpaged("UPDATE schema_version SET version = 1 WHERE id = 0 IF EXISTS", ()).await.unwrap();
    let die = "UPDATE schema_version USING TTL 3 SET holder = 0xdead WHERE id = 0 IF version = 1";
    let started = std::time::Instant::now();
    session.query_unpaged(die, ()).await.unwrap();
    open(&options).await;
    assert!(started.elapsed() >= std::time::Duration::from_secs(2), "the lease was waited for");
    assert_eq!(CassandraStore::show_schema(&options).await.unwrap().version, newest());
    session.query_unpaged("SELECT * FROM deployment", ()).await.unwrap();
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_named() {
    let mut options = options(&new_keyspace());
    options.nodes = vec!["127.0.0.1:1".to_owned()];
    let refused = CassandraStore::open(&options, clock()).await.err().unwrap();
    assert!(matches!(refused, OpenError::Connect { .. }), "{refused}");
    let said = refused.to_string();
    assert!(said.starts_with("could not connect to Cassandra at 127.0.0.1:1: ") && said.contains("refused"), "{said}");
}
