//! What an operator sees of Redis.

use std::time::Duration;

use bobchat::adapters::redis::{RedisLog, RedisMetrics, RedisOptions};
use bobchat_actors::ports::LiveLog as _;
use bobchat_proto::ids::{Epoch, Position, Sequence};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::cluster::RedisCluster;
use crate::server::RedisServer;
use crate::support::{PATIENCE, QUICK, batch, connect, message, open, options, options_of, room, say};

fn render(registry: &Registry) -> String {
    let mut text = String::new();
    encode(&mut text, registry).unwrap();
    text
}

/// The value of a line.
fn value(registry: &Registry, name: &str) -> f64 {
    let text = render(registry);
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

fn counted(options: RedisOptions) -> (RedisOptions, Registry) {
    let mut registry = Registry::default();
    let metrics = RedisMetrics::register(&mut registry);
    (RedisOptions { metrics, ..options }, registry)
}

#[tokio::test]
async fn each_step_and_each_answer_is_counted() {
    let server = RedisServer::start();
    let (options, registry) = counted(options(&server));
    let log = RedisLog::connect(options).await.unwrap();
    say(&log, room(7), "nobody opened it").await.unwrap_err();
    open(&log, room(7), 1, 0).await;
    let keyed = || batch(room(7), vec![message(room(7), 1, Some("key"), "hello")]);
    log.append(keyed()).await.unwrap();
    log.append(keyed()).await.unwrap();
    let other = batch(room(7), vec![message(room(7), 2, Some("key"), "not the same")]);
    log.append(other).await.unwrap();
    let mut late = keyed();
    late.deadline = 0;
    log.append(late).await.unwrap_err();
    log.fence(room(7), Epoch(1)).await.unwrap_err();
    log.advance(room(7), Position { epoch: Epoch(1), seq: Sequence(1) }).await.unwrap();
    log.tail(room(7), Sequence::ZERO, 10).await.unwrap();
    log.incarnation().await.unwrap();
    log.unarchived(10).await.unwrap();
    for (name, expected) in [
        ("bobchat_redis_appends_total{outcome=\"taken\"}", 3.0),
        ("bobchat_redis_appends_total{outcome=\"cold\"}", 1.0),
        ("bobchat_redis_appends_total{outcome=\"expired\"}", 1.0),
        ("bobchat_redis_events_total{outcome=\"appended\"}", 1.0),
        ("bobchat_redis_events_total{outcome=\"repeated\"}", 1.0),
        ("bobchat_redis_events_total{outcome=\"conflict\"}", 1.0),
        ("bobchat_redis_epochs_fenced_total{outcome=\"done\"}", 1.0),
        ("bobchat_redis_epochs_fenced_total{outcome=\"superseded\"}", 1.0),
        ("bobchat_redis_epochs_opened_total{outcome=\"done\"}", 1.0),
        // The first time the server does not know the script.
        ("bobchat_redis_call_seconds_count{operation=\"append\"}", 6.0),
        ("bobchat_redis_call_seconds_count{operation=\"advance\"}", 2.0),
        ("bobchat_redis_call_seconds_count{operation=\"tail\"}", 2.0),
        ("bobchat_redis_call_seconds_count{operation=\"info\"}", 1.0),
        ("bobchat_redis_call_seconds_count{operation=\"dirty\"}", 2.0),
        ("bobchat_redis_call_errors_total{kind=\"noscript\"}", 6.0),
        ("bobchat_redis_connections_total", 1.0),
        ("bobchat_redis_up", 1.0),
    ] {
        let shown = value(&registry, name);
        assert!((shown - expected).abs() < 0.5, "{name}: {shown} in\n{}", render(&registry));
    }
}

#[tokio::test]
async fn a_server_that_is_away_and_comes_back_is_seen() {
    let mut server = RedisServer::start();
    let patient = connect(&server).await;
    open(&patient, room(7), 1, 0).await;
    let (options, registry) = counted(RedisOptions { timeout: QUICK, ..options(&server) });
    let log = RedisLog::connect(options).await.unwrap();
    server.pause();
    say(&log, room(7), "is anybody there").await.unwrap_err();
    assert!(value(&registry, "bobchat_redis_up") < 0.5);
    assert!(value(&registry, "bobchat_redis_call_errors_total{kind=\"no_answer\"}") > 0.5);
    assert!(value(&registry, "bobchat_redis_appends_total{outcome=\"unknown\"}") > 0.5);
    server.resume();
    server.kill();
    ask_until(async || {
        let _ = say(&log, room(7), "or now").await;
        render(&registry).contains("kind=\"not_sent\"")
    })
    .await;
    assert!(value(&registry, "bobchat_redis_up") < 0.5);
    server.run();
    ask_until(async || {
        let _ = say(&log, room(7), "it is back").await;
        value(&registry, "bobchat_redis_up") > 0.5
    })
    .await;
    assert!(value(&registry, "bobchat_redis_connections_total") > 1.5);
}

#[tokio::test]
async fn what_a_cluster_refuses_for_a_moment_is_tried_again_and_counted() {
    let cluster = RedisCluster::start();
    let patient = RedisLog::connect(options_of(cluster.address())).await.unwrap();
    open(&patient, room(7), 1, 0).await;
    let (options, registry) = counted(RedisOptions { timeout: QUICK, ..options_of(cluster.address()) });
    let log = RedisLog::connect(options).await.unwrap();
    // The other half of the cluster is gone, and no node answers for what it had.
    let mut servers = cluster.servers;
    servers[0].kill();
    servers[1].kill();
    ask_until(async || {
        let _ = say(&log, room(7), "hello").await;
        value(&registry, "bobchat_redis_retries_total") > 0.5
    })
    .await;
}

/// Asks until it is so: what a node makes of its servers takes its time.
async fn ask_until(is_so: impl AsyncFn() -> bool) {
    let begin = std::time::Instant::now();
    while !is_so().await {
        assert!(begin.elapsed() < PATIENCE, "it does not come to that");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
