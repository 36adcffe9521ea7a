//! What an operator sees of Cassandra.

use bobchat::adapters::cassandra::{CassandraMetrics, CassandraOptions};
use bobchat_actors::ports::{
    Anchor, Credentials as _, EventStore as _, History as _, Raised, Raiser, Span, StoredEvent,
};
use bobchat_proto::ids::{DeviceId, RoomId, Sequence};
use bobchat_proto::wire::{self, event::Body};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::support::{look, new_keyspace, open, options};

#[tokio::test]
async fn requests_are_counted_by_table_and_what_they_do() {
    let mut registry = Registry::default();
    let metrics = CassandraMetrics::register(&mut registry);
    let store = open(&CassandraOptions { metrics, ..options(&new_keyspace()) }).await;
    let room = RoomId::new(7).unwrap();
    assert_eq!(store.raise(room, None, Raiser(1)).await.unwrap(), Raised::Won);
    assert!(matches!(store.raise(room, None, Raiser(2)).await.unwrap(), Raised::Lost(_)));
    assert!(store.begin(room, Span::FIRST, Raiser(1)).await.unwrap());
    let body = Some(Body::Message(wire::Message { text: "hello".to_owned() }));
    let event = wire::Event { room: 7, epoch: 1, seq: 1, id: 1, ordinal: Some(1), body, ..wire::Event::default() };
    store.store(room, vec![StoredEvent { event, body_hash: 1, renumbered: false }]).await.unwrap();
    store.stored(room, Sequence(1), 10).await.unwrap();
    store.page(room, Anchor::Newest, 10, &vec![Sequence(1)..=Sequence(9)]).await.unwrap();
    store.family(DeviceId::new(3).unwrap()).await.unwrap();
    must_show(
        &registry,
        &[
            "bobchat_cassandra_request_seconds_count{table=\"room_log\",kind=\"compare_and_set\"} 3",
            "bobchat_cassandra_request_seconds_count{table=\"room_log\",kind=\"read\"}",
            "bobchat_cassandra_request_seconds_count{table=\"events\",kind=\"write\"} 1",
            "bobchat_cassandra_request_seconds_count{table=\"events\",kind=\"read\"} 1",
            "bobchat_cassandra_request_seconds_count{table=\"messages\",kind=\"write\"} 1",
            "bobchat_cassandra_request_seconds_count{table=\"messages\",kind=\"read\"}",
            "bobchat_cassandra_request_seconds_count{table=\"families\",kind=\"read\"} 1",
            "bobchat_cassandra_compare_and_sets_total{table=\"room_log\",outcome=\"done\"} 2",
            "bobchat_cassandra_compare_and_sets_total{table=\"room_log\",outcome=\"refused\"} 1",
        ],
    );
}

#[tokio::test]
async fn what_too_few_nodes_refuse_is_counted_as_that() {
    let mut registry = Registry::default();
    let (metrics, keyspace) = (CassandraMetrics::register(&mut registry), new_keyspace());
    let store = open(&CassandraOptions { metrics, ..options(&keyspace) }).await;
    // Two of three copies have to answer then, and there is one node.
    let three = format!(
        "ALTER KEYSPACE {} WITH replication = {{'class': 'NetworkTopologyStrategy', \
                         'datacenter1': 3}}",
        keyspace.as_str()
    );
    look(&keyspace).await.query_unpaged(three, ()).await.unwrap();
    let (room, device) = (RoomId::new(7).unwrap(), DeviceId::new(3).unwrap());
    assert!(store.stored(room, Sequence(1), 10).await.is_err(), "a read");
    assert!(store.family(device).await.is_err(), "one that may be of one row");
    assert!(store.raise(room, None, Raiser(1)).await.is_err(), "a compare-and-set");
    must_show(&registry, &["bobchat_cassandra_request_errors_total{kind=\"too_few_nodes\"}"]);
    let text = shown(&registry);
    let kinds = text.lines().filter(|line| line.starts_with("bobchat_cassandra_request_errors_total{"));
    // What has not happened is shown as 0.
    assert_eq!(kinds.filter(|line| !line.ends_with(" 0")).count(), 1, "no other kind in\n{text}");
}

fn shown(registry: &Registry) -> String {
    let mut text = String::new();
    encode(&mut text, registry).unwrap();
    text
}

fn must_show(registry: &Registry, lines: &[&str]) {
    let text = shown(registry);
    for line in lines {
        assert!(text.lines().any(|found| found.starts_with(line)), "{line} in\n{text}");
    }
}
