use bobchat_actors::ports::{LiveLog as _, LiveRefusal};
use bobchat_proto::ids::Epoch;

use crate::server::{RedisServer, eventually};
use crate::support::{connect, open, room, say, tail};

#[tokio::test]
async fn a_promoted_replica_is_cold_with_all_that_it_holds() {
    let mut primary = RedisServer::start();
    let replica = primary.replica();
    let events = {
        let log = connect(&primary).await;
        open(&log, room(7), 1, 0).await;
        say(&log, room(7), "one").await.unwrap();
        say(&log, room(7), "two").await.unwrap();
        primary.wait_for(&replica);
        tail(&log, room(7)).await
    };
    primary.kill();
    replica.promote();
    let log = connect(&replica).await;
    assert!(matches!(say(&log, room(7), "three").await, Err(LiveRefusal::Cold)));
    assert_eq!(log.fence(room(7), Epoch(2)).await.unwrap().events, events);
    open(&log, room(7), 2, 2).await;
    assert!(matches!(say(&log, room(7), "old").await, Err(LiveRefusal::NewerEpoch(Epoch(2)))));
}

#[tokio::test]
async fn a_replica_that_lags_is_cold_without_what_it_missed() {
    let mut primary = RedisServer::start();
    let replica = primary.replica();
    let log = connect(&primary).await;
    open(&log, room(7), 1, 0).await;
    say(&log, room(7), "one").await.unwrap();
    primary.wait_for(&replica);
    replica.pause();
    say(&log, room(7), "two").await.unwrap();
    primary.kill();
    replica.resume();
    replica.promote();
    let log = connect(&replica).await;
    assert!(matches!(say(&log, room(7), "three").await, Err(LiveRefusal::Cold)));
    let left = log.fence(room(7), Epoch(2)).await.unwrap().events;
    // What was in the socket's buffer may have reached it.
    assert!((1..=2).contains(&left.len()) && left.iter().map(|event| event.seq).eq(1..=left.len() as u64));
}

/// Redis gives itself a new replication id when the first replica comes, and an hour after the last one went. It
/// costs an epoch and no event.
#[tokio::test]
async fn the_first_replica_makes_every_log_cold() {
    let primary = RedisServer::start();
    let log = connect(&primary).await;
    open(&log, room(7), 1, 0).await;
    say(&log, room(7), "one").await.unwrap();
    let _replica = primary.replica();
    assert!(matches!(say(&log, room(7), "two").await, Err(LiveRefusal::Cold)));
    open(&log, room(7), 2, 1).await;
    let _second = primary.replica();
    assert_eq!(log.head(room(7)).await.unwrap().unwrap().head.position.epoch, Epoch(2), "the second changes nothing");
}

#[tokio::test]
async fn a_primary_that_was_demoted_refuses_and_surely_appended_nothing() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let log = connect(&old).await;
    open(&log, room(7), 1, 0).await;
    old.cli(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]);
    let refusal = say(&log, room(7), "one").await.unwrap_err();
    assert!(matches!(refusal, LiveRefusal::Full { .. }), "{refusal:?}");
    // The connection was given up, and the address is not used while a replica answers there.
    eventually("it follows", || (old.info("replication", "master_link_status") == "up").then_some(()));
    let refusal = say(&log, room(7), "two").await.unwrap_err();
    assert!(matches!(refusal, LiveRefusal::Full { .. }), "{refusal:?}");
}

#[tokio::test]
async fn without_the_replicas_that_are_asked_for_nothing_is_appended() {
    let server = RedisServer::start();
    let log = connect(&server).await;
    open(&log, room(7), 1, 0).await;
    server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let refusal = say(&log, room(7), "one").await.unwrap_err();
    assert!(matches!(refusal, LiveRefusal::Full { .. }), "{refusal:?}");
    server.cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    say(&log, room(7), "one").await.unwrap();
    assert_eq!(tail(&log, room(7)).await.len(), 1);
}
