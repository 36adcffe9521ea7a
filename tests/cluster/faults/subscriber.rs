//! The connection by which a node hears the others.

use std::time::{Duration, Instant};

use super::{HOT, begin, end};
use crate::pool;
use crate::run::PATIENCE;

#[test]
fn the_connections_of_subscribers_are_cut_again_and_again() {
    let standing = pool::take();
    let (set, redis) = (&standing.set, &standing.redis);
    let torture = begin(set);
    for _ in 0..10 {
        redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        torture.talk(20, PATIENCE).unwrap();
    }
    let verdict = end(torture);
    assert_eq!((verdict.renumbered(), verdict.resets()), (0, 0), "nothing was lost that had to be put back");
}

/// A node that reads nothing for a while, and so much for it that Redis gives its connection up: forged frames too,
/// which nobody takes.
/// Log protocol, rules 24 and 30.
#[test]
fn a_subscriber_that_lags_is_cut_and_misses_nothing() {
    let standing = pool::take();
    let (set, redis) = (&standing.set, &standing.redis);
    let torture = begin(set);
    redis.cli(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 1mb 1"]);
    let channel = redis.cli(&["PUBSUB", "CHANNELS", &format!("*:{}:new", torture.rooms()[HOT])]);
    let subscribers = || redis.cli(&["CLIENT", "LIST", "TYPE", "pubsub"]).lines().count();
    let before = subscribers();
    set.nodes[2].pause();
    let (forged, begun) = ("x".repeat(100_000), Instant::now());
    while subscribers() >= before {
        redis.cli(&["PUBLISH", &channel, &forged]);
        assert!(begun.elapsed() < PATIENCE, "Redis never gave the connection up");
    }
    std::thread::sleep(Duration::from_secs(1));
    set.nodes[2].resume();
    redis.cli(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 32mb 8mb 60"]);
    let verdict = end(torture);
    assert_eq!((verdict.renumbered(), verdict.resets()), (0, 0), "nothing was lost that had to be put back");
}
