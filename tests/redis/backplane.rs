//! Nodes that hear each other through a real Redis.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bobchat::adapters::redis::{BackplaneMetrics, RedisBackplane, RedisLog, RedisOptions, Servers};
use bobchat_actors::ports::{Backplane, Listener, LiveLog as _, NodeLife, NodePresence, Told, WhoIsHere};
use bobchat_proto::ids::{NodeId, RoomId, UserId};
use bobchat_proto::wire;

use crate::cluster::RedisCluster;
use crate::server::RedisServer;
use crate::support::{PATIENCE, batch, message, open, options_of, room, say};

/// Keeps what a node was told.
#[derive(Default)]
struct Notes(Mutex<Vec<(RoomId, Told)>>);

impl Listener for Notes {
    fn told(&self, room: RoomId, told: Told) {
        self.0.lock().unwrap().push((room, told));
    }
}

impl Notes {
    fn take(&self) -> Vec<(RoomId, Told)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// Waits until the node was told such a thing.
    async fn wait_for(&self, what: &str, wanted: impl Fn(&RoomId, &Told) -> bool) {
        let found = async {
            while !self.take().iter().any(|(room, told)| wanted(room, told)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("not told: {what}"));
    }

    async fn texts(&self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        let found = async {
            while texts.len() < count {
                texts.extend(self.take().into_iter().flat_map(|(_, told)| texts_of(&told)));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, found).await;
        texts
    }
}

fn texts_of(told: &Told) -> Vec<String> {
    let Told::Events(events) = told else { return Vec::new() };
    let text = |event: &wire::Event| match &event.body {
        Some(wire::event::Body::Message(message)) => message.text.clone(),
        other => panic!("no message: {other:?}"),
    };
    events.iter().map(text).collect()
}

struct Node {
    log: Arc<RedisLog>,
    backplane: Arc<RedisBackplane>,
    notes: Arc<Notes>,
    metrics: BackplaneMetrics,
}

impl Node {
    async fn start(servers: &Servers, number: u64) -> Self {
        let options = RedisOptions { node: number, ..options_of(servers.clone()) };
        let log = RedisLog::connect(options.clone()).await.unwrap();
        let metrics = BackplaneMetrics::default();
        let backplane = RedisBackplane::start(&options, log.clone(), metrics.clone());
        let notes = Arc::new(Notes::default());
        let listener: Arc<dyn Listener> = notes.clone();
        backplane.listen(Arc::downgrade(&listener));
        Self { log, backplane, notes, metrics }
    }
}

impl Node {
    /// Follows a room, as often as it takes: Redis has two seconds for it.
    async fn follow(&self, room: RoomId) {
        let followed = async {
            while self.backplane.follow(room).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, followed).await.expect("the room is followed");
    }
}

/// What appends leave behind whose frames were lost: each shard's rooms have changed just now.
fn note_changes(server: &RedisServer) {
    let now = server.time();
    for heads in server.keys("bob:{s*}:heads") {
        let changed = server.cli(&["ZRANGE", &heads, "0", "0"]);
        server.cli(&["ZADD", &heads, &now, &changed]);
    }
}

async fn two_nodes(servers: &Servers) -> (Node, Node) {
    (Node::start(servers, 1).await, Node::start(servers, 2).await)
}

fn presence(node: u64, users: &[u64]) -> NodePresence {
    let life = NodeLife { node: NodeId::new(node).unwrap(), life: 7 };
    let users: Vec<_> = users.iter().map(|user| UserId::new(*user).unwrap()).collect();
    let count = users.len() as u64;
    NodePresence { life, number: 1, who: WhoIsHere::Everybody(users), count, ask: false }
}

async fn nodes_hear_each_other(servers: &Servers) {
    let (ada, bob) = two_nodes(servers).await;
    for raw in 1..=40 {
        open(&ada.log, room(raw), 1, 0).await;
        bob.follow(room(raw)).await;
        let events = (0..8).map(|number| message(room(raw), number + 1, None, &format!("{raw}-{number}")));
        ada.log.append(batch(room(raw), events.collect())).await.unwrap();
        let expected: Vec<_> = (0..8).map(|number| format!("{raw}-{number}")).collect();
        assert_eq!(bob.notes.texts(8).await, expected);
    }
    ada.follow(room(1)).await;
    say(&ada.log, room(1), "own").await.unwrap();
    bob.backplane.tell_typing(wire::TypingSignal { room: 1, user: 5 });
    ada.notes.wait_for("typing", |_, told| matches!(told, Told::Typing(signal) if signal.user == 5)).await;
    let here = presence(2, &[5, 6]);
    bob.backplane.tell_presence(room(1), here.clone()).await.unwrap();
    ada.notes.wait_for("who is here", |_, told| *told == Told::Presence(here.clone())).await;
    assert_eq!(ada.metrics.frames.get(), 2, "not what it appended itself");
    bob.backplane.unfollow(room(1));
    say(&ada.log, room(2), "two").await.unwrap();
    say(&ada.log, room(1), "one").await.unwrap();
    say(&ada.log, room(2), "two again").await.unwrap();
    assert_eq!(bob.notes.texts(3).await, ["own", "two", "two again"]);
}

#[tokio::test]
async fn nodes_hear_each_other_through_one_server() {
    let server = RedisServer::start();
    nodes_hear_each_other(&Servers::One(server.url())).await;
}

/// Log protocol, rule 30.
#[tokio::test]
async fn nodes_hear_each_other_through_a_cluster() {
    let cluster = RedisCluster::start();
    nodes_hear_each_other(&cluster.address()).await;
}

/// Log protocol, rule 24.
#[tokio::test]
async fn a_cut_connection_is_made_again_and_rooms_look_at_their_logs() {
    let server = RedisServer::start();
    let (ada, bob) = two_nodes(&Servers::One(server.url())).await;
    open(&ada.log, room(1), 1, 0).await;
    bob.follow(room(1)).await;
    bob.notes.wait_for("to look once at first", |_, told| *told == Told::Head(None)).await;
    bob.notes.take();
    server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    bob.notes.wait_for("that it is heard anew", |_, told| *told == Told::Anew).await;
    say(&ada.log, room(1), "after").await.unwrap();
    assert_eq!(bob.notes.texts(1).await, ["after"]);
    assert_eq!(bob.metrics.connections.get(), 2);
}

#[tokio::test]
async fn a_server_that_was_away_is_heard_again() {
    let mut server = RedisServer::start();
    let (_, bob) = two_nodes(&Servers::One(server.url())).await;
    bob.follow(room(1)).await;
    server.kill();
    assert!(bob.backplane.follow(room(2)).await.is_err(), "nobody confirms it");
    server.run();
    bob.notes.wait_for("to look again", |_, told| *told == Told::Head(None)).await;
    bob.follow(room(2)).await;
}

/// Log protocol, rule 25.
#[tokio::test]
async fn what_was_not_heard_is_found_by_the_beat() {
    let server = RedisServer::start();
    let (ada, bob) = two_nodes(&Servers::One(server.url())).await;
    for raw in 1..=2 {
        open(&ada.log, room(raw), 1, 0).await;
    }
    bob.follow(room(1)).await;
    bob.notes.wait_for("to look once at first", |_, told| *told == Told::Head(None)).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    bob.notes.take();
    note_changes(&server);
    let told = async {
        loop {
            let told = bob.notes.take();
            if !told.is_empty() {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let told = tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert_eq!(told, [(room(1), Told::Head(None))], "the room that is followed, and no other");
}

/// The first beat knows of no change, so it must not be later than what rooms looked at.
#[tokio::test]
async fn what_changed_before_a_beat_that_was_late_is_found() {
    let server = RedisServer::start();
    let (ada, bob) = two_nodes(&Servers::One(server.url())).await;
    open(&ada.log, room(1), 1, 0).await;
    bob.follow(room(1)).await;
    bob.notes.wait_for("to look once at first", |_, told| *told == Told::Head(None)).await;
    // The first beat over the new connection finds the other one broken.
    server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    bob.notes.wait_for("that it is heard anew", |_, told| *told == Told::Anew).await;
    bob.notes.take();
    note_changes(&server);
    bob.notes.wait_for("to look where something changed", |_, told| *told == Told::Head(None)).await;
}

#[tokio::test]
async fn a_forged_frame_is_thrown_away_and_counted() {
    let server = RedisServer::start();
    let (ada, bob) = two_nodes(&Servers::One(server.url())).await;
    open(&ada.log, room(1), 1, 0).await;
    bob.follow(room(1)).await;
    let channel = server.cli(&["PUBSUB", "CHANNELS"]);
    server.cli(&["PUBLISH", &channel, "forged"]);
    server.cli(&["PUBLISH", &channel, ""]);
    say(&ada.log, room(1), "good").await.unwrap();
    assert_eq!(bob.notes.texts(1).await, ["good"]);
    assert_eq!(bob.metrics.refused.get(), 2);
}

/// How often each command was called, but for what this asks.
fn commands(server: &RedisServer) -> BTreeMap<String, u64> {
    let stats = server.cli(&["INFO", "commandstats"]);
    let calls =
        stats.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split(',').next()?.split_once(":calls="));
    calls.filter(|(name, _)| *name != "info").map(|(name, calls)| (name.to_owned(), calls.parse().unwrap())).collect()
}

/// Log protocol, rule 25.
#[tokio::test]
async fn rooms_that_are_followed_and_idle_cost_nothing_but_the_beat() {
    let server = RedisServer::start();
    let (ada, bob) = two_nodes(&Servers::One(server.url())).await;
    for raw in 1..=300 {
        for node in [&ada, &bob] {
            node.follow(room(raw)).await;
            node.backplane.tell_presence(room(raw), presence(1, &[5])).await.unwrap();
        }
    }
    let (mut before, begin) = (commands(&server), Instant::now());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut after = commands(&server);
    let mut asked = |name: &str| after.remove(name).unwrap() - before.remove(name).unwrap();
    let (scripts, readings) = (asked("evalsha"), asked("zrange"));
    // Each of two nodes, every 2 s: one script, which reads all shards.
    let beats = 2 * (begin.elapsed().as_secs() / 2 + 1);
    assert!((1..=beats).contains(&scripts) && readings == 256 * scripts, "{scripts} scripts, {readings} readings");
    assert_eq!(after, before);
}
