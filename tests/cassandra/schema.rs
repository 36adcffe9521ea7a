use bobchat::adapters::cassandra::{CassandraStore, OpenError, STEPS, SchemaStatus};
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
    assert_eq!(before, SchemaStatus { version: 0, known: newest(), replication: None });
    assert_eq!(before.missing().count(), STEPS.len());

    join_all((0..3).map(|_| open(&options))).await;
    let after = CassandraStore::show_schema(&options).await.unwrap();
    assert_eq!(after, SchemaStatus { version: newest(), known: newest(), replication: Some(1) });
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

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let keyspace = new_keyspace();
    let options = options(&keyspace);
    open(&options).await;
    let newer = i32::try_from(newest()).unwrap() + 1;
    let session = look(&keyspace).await;
    let set = "UPDATE schema_version SET version = ? WHERE id = 0 IF EXISTS";
    session.query_unpaged(set, (newer,)).await.unwrap();
    let refused = CassandraStore::open(&options, clock()).await.err().unwrap();
    assert!(matches!(refused, OpenError::NewerSchema { found, known, .. } if found == known + 1), "{refused}");
    let said = refused.to_string();
    assert!(said.contains(keyspace.as_str()) && said.contains("use a newer bobchat"), "{said}");
    assert_eq!(CassandraStore::show_schema(&options).await.unwrap().version, newest() + 1, "it can be looked at");
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
