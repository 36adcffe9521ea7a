//! Whose keyspace it is.

use bobchat::adapters::cassandra::{CassandraOptions, CassandraStore, OpenError};
use futures_util::future::join_all;

use crate::support::{clock, new_keyspace, open, options};

/// Log protocol, rule 18.
#[tokio::test]
async fn a_keyspace_belongs_to_who_opened_it_first() {
    let options = options(&new_keyspace());
    // Nodes that start at once agree.
    let stores = join_all((0..3).map(|_| open(&options))).await;
    let identity = stores[0].deployment().to_owned();
    assert!(stores.iter().all(|store| store.deployment() == identity));
    assert_eq!(open(&options).await.deployment(), identity, "also later");

    let other = CassandraOptions { deployment: "staging".to_owned(), ..options };
    let error = CassandraStore::open(&other, clock()).await.err().unwrap();
    assert!(
        matches!(&error, OpenError::OtherDeployment { found, expected, .. } if found == "bobchat" && expected == "staging"),
        "{error}"
    );
}

#[tokio::test]
async fn two_deployments_of_one_name_are_told_apart() {
    let (one, other) = (open(&options(&new_keyspace())).await, open(&options(&new_keyspace())).await);
    assert!(one.deployment().starts_with("bobchat-") && other.deployment().starts_with("bobchat-"));
    assert_ne!(one.deployment(), other.deployment());
}
