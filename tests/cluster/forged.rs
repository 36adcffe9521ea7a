//! What comes on the channels between nodes and no node of this version sent.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use bobchat_loadtest::torture::{Client as Talker, Torture};
use bobchat_proto::{backplane, node, wire};
use prost::Message as _;
use serde_json::json;

use crate::account::Account;
use crate::client::Client;
use crate::node::Node;
use crate::pool::{self, Standing};
use crate::redis::RedisServer;
use crate::run::{PATIENCE, must_be_clean, plan};
use crate::set::{NODES, Set};

/// The version that nodes speak, and one that they do not.
const VERSION: u32 = 1;
const ANOTHER: u32 = 2;

/// A node that does not exist.
const NOBODY: u64 = 9;

/// More than any frame has, about rooms and between nodes.
const ROOM_FRAME_TOO_LARGE: usize = (4 << 20) + 1;
const NODE_FRAME_TOO_LARGE: usize = (16 << 10) + 1;

/// Somebody who can publish. By a connection of its own: bytes that no argument of a command line can hold.
struct Forger(BufReader<TcpStream>);

impl Forger {
    fn at(redis: &RedisServer) -> Self {
        Self(BufReader::new(TcpStream::connect(redis.address()).unwrap()))
    }

    /// Publishes, and waits until Redis has passed it on to as many.
    fn publish(&mut self, channel: &str, payload: &[u8], hearers: usize) {
        let head = format!("*3\r\n$7\r\nPUBLISH\r\n${}\r\n{channel}\r\n${}\r\n", channel.len(), payload.len());
        self.0.get_mut().write_all(&[head.as_bytes(), payload, b"\r\n"].concat()).unwrap();
        let mut answer = String::new();
        self.0.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim(), format!(":{hearers}"), "who hears {channel}");
    }
}

fn message(room: u64, epoch: u64, seq: u64) -> wire::Event {
    let body = Some(wire::event::Body::Message(wire::Message { text: "forged".to_owned() }));
    wire::Event { room, epoch, seq, id: 7, author: 7, body, ..wire::Event::default() }
}

/// What is refused of what is said about a room.
fn refused_of_rooms(room: u64) -> Vec<Vec<u8>> {
    let good = backplane::Frame {
        version: VERSION,
        node: NOBODY,
        room,
        epoch: 1,
        events: vec![message(room, 1, 1)],
        ..backplane::Frame::default()
    };
    let whole = good.encode_to_vec();
    vec![
        b"forged".to_vec(),
        Vec::new(),
        whole[..whole.len() - 1].to_vec(),
        vec![0x2a; ROOM_FRAME_TOO_LARGE],
        backplane::Frame { version: ANOTHER, ..good.clone() }.encode_to_vec(),
        backplane::Frame { room: room + 1, ..good.clone() }.encode_to_vec(),
        backplane::Frame { epoch: 2, ..good.clone() }.encode_to_vec(),
        backplane::Frame { events: vec![message(room, 1, 1), message(room, 1, 3)], ..good }.encode_to_vec(),
    ]
}

/// What is taken, because it could be true, and comes to nothing: numbers that no log has, and another event where
/// there is one.
fn taken_of_rooms(room: u64) -> Vec<Vec<u8>> {
    let events = [message(room, 1, 1_000_000_000), message(room, 1_000, 1), message(room, 1, 1)];
    let frame = |event: wire::Event| backplane::Frame {
        version: VERSION,
        node: NOBODY,
        room,
        epoch: event.epoch,
        events: vec![event],
        ..backplane::Frame::default()
    };
    events.map(|event| frame(event).encode_to_vec()).into()
}

/// What nodes count of what they threw away: of rooms, of nodes, of nodes with another version.
fn thrown_away(node: &Node) -> [u64; 3] {
    ["bobchat_backplane_refused_total", "bobchat_node_frames_refused_total", "bobchat_node_frames_other_version_total"]
        .map(|name| node.metric(name))
}

/// Waits until every node has thrown away so much more than before, and no more than that.
fn must_throw_away(set: &Set, before: &[[u64; 3]], expected: [usize; 3]) {
    let begin = std::time::Instant::now();
    for (node, before) in set.nodes.iter().zip(before) {
        let expected: Vec<_> = before.iter().zip(expected).map(|(before, more)| before + more as u64).collect();
        while thrown_away(node) != *expected {
            assert!(begin.elapsed() < PATIENCE, "{:?} and not {expected:?}", thrown_away(node));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

#[tokio::test]
async fn what_is_forged_oversized_or_of_another_version_is_thrown_away_counted_and_does_no_harm() {
    let standing = tokio::task::spawn_blocking(pool::take).await.unwrap();
    let Standing { set, redis } = &*standing;
    set.wait_until_all_know_each_other();
    let bob = Account::sign_up(&set.nodes[0], "Bob");
    let mut sockets = Vec::new();
    for node in &set.nodes {
        sockets.push(Client::signed_in(node.address, &bob.token).await);
    }
    let clients = (0..NODES).flat_map(|node| [Talker::of(node), Talker::of(node)]).collect();
    let mut torture = Torture::start(plan(set.addresses(), 1, clients)).unwrap();
    torture.talk(100, PATIENCE).unwrap();
    let before: Vec<_> = set.nodes.iter().map(thrown_away).collect();

    let mut forger = Forger::at(redis);
    let room = torture.rooms()[0];
    let channel = redis.cli(&["PUBSUB", "CHANNELS", &format!("*:{room}:new")]);
    let refused = refused_of_rooms(room);
    for frame in refused.iter().chain(&taken_of_rooms(room)) {
        forger.publish(&channel, frame, NODES);
        torture.talk(5, PATIENCE).unwrap();
    }

    let sign_out = node::SignOut { user: bob.user.parse().unwrap(), device: None };
    let request = node::Request { id: 1, body: Some(node::request::Body::SignOut(sign_out)) };
    let good = node::Frame {
        version: VERSION,
        node: NOBODY,
        life: 1,
        to: None,
        body: Some(node::frame::Body::Request(request)),
    };
    let for_another = node::Frame { to: Some(NOBODY), ..good.clone() };
    let of_another_version = node::Frame { version: ANOTHER, ..good };
    let all = "bob:{nodes}:all";
    let own = redis.cli(&["PUBSUB", "CHANNELS", "bob:{nodes}:node:*"]);
    assert_eq!(own.lines().count(), NODES, "{own}");
    for (channel, hearers) in std::iter::once((all, NODES)).chain(own.lines().map(|channel| (channel, 1))) {
        for frame in [b"forged".to_vec(), vec![0x2a; NODE_FRAME_TOO_LARGE], for_another.encode_to_vec()] {
            forger.publish(channel, &frame, hearers);
        }
        forger.publish(channel, &of_another_version.encode_to_vec(), hearers);
    }

    // Each node heard what was for all, and what was for itself.
    must_throw_away(set, &before, [refused.len(), 2 * 3, 2]);
    for socket in &mut sockets {
        socket.ok("ping", json!({})).await;
    }
    set.wait_until_all_know_each_other();
    // Nothing was broken that has a time to be whole again.
    torture.settle(PATIENCE).unwrap();
    let verdict = must_be_clean(torture);
    assert_eq!((verdict.renumbered(), verdict.resets()), (0, 0), "{verdict}");
}
