use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Network;
use super::link::Link;
use super::rule::{Direction, Harm, Pace, Whom};
use super::tally::Tally;

/// What should happen and has not by then does not happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server behind a link, and the network that carries for it.
struct Scene {
    listener: TcpListener,
    link: Link,
    _network: Network,
}

fn scene() -> Scene {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut network = Network::start(7).unwrap();
    let link = network.link(listener.local_addr().unwrap()).unwrap();
    Scene { listener, link, _network: network }
}

impl Scene {
    /// Both ends of a connection through the link.
    fn connect(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(self.link.address()).unwrap();
        let (server, _) = self.listener.accept().unwrap();
        for end in [&client, &server] {
            end.set_read_timeout(Some(PATIENCE)).unwrap();
            end.set_nodelay(true).unwrap();
        }
        (client, server)
    }

    fn wait_for(&self, is_there: impl Fn(Tally) -> bool) {
        let begin = Instant::now();
        while !is_there(self.link.tally()) {
            assert!(begin.elapsed() < PATIENCE, "{:?}", self.link.tally());
            std::thread::yield_now();
        }
    }
}

fn hear(end: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut heard = vec![0; length];
    end.read_exact(&mut heard).unwrap();
    heard
}

/// Says something from the one end and hears it at the other.
fn passes(from: &mut TcpStream, to: &mut TcpStream, text: &[u8]) {
    from.write_all(text).unwrap();
    assert_eq!(hear(to, text.len()), text);
}

fn says_nothing(end: &mut TcpStream) {
    end.set_nonblocking(true).unwrap();
    assert_eq!(end.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    end.set_nonblocking(false).unwrap();
}

fn is_reset(end: &mut TcpStream) {
    assert_eq!(end.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_link_that_is_whole_carries_both_ways_and_each_end_by_itself() {
    let scene = scene();
    let (mut client, mut server) = scene.connect();
    passes(&mut client, &mut server, b"asked");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(server.read(&mut [0; 1]).unwrap(), 0);
    passes(&mut server, &mut client, b"answered");
    drop(server);
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(scene.link.tally(), Tally::default());
}

#[test]
fn a_reset_of_one_end_is_a_reset_of_the_other() {
    let scene = scene();
    let (mut client, mut server) = scene.connect();
    passes(&mut server, &mut client, b"hello");
    // What was not read when a socket is closed makes its end a reset.
    server.write_all(b"unread").unwrap();
    client.peek(&mut [0; 1]).unwrap();
    drop(client);
    is_reset(&mut server);
}

#[test]
fn who_connects_to_a_server_that_is_not_there_is_reset() {
    let Scene { listener, link, _network } = scene();
    drop(listener);
    let mut client = TcpStream::connect(link.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    is_reset(&mut client);
}

#[test]
fn what_is_held_one_way_arrives_when_the_link_is_whole_and_the_other_way_goes_on() {
    for (direction, bytes) in [(Direction::ToServer, 4), (Direction::ToClient, 7)] {
        let scene = scene();
        let (client, server) = scene.connect();
        let (mut from, mut to) = if direction == Direction::ToServer { (client, server) } else { (server, client) };
        scene.link.harm(Harm::HoldOne(direction), Whom::All);
        from.write_all(&vec![1; bytes]).unwrap();
        scene.wait_for(|tally| tally.held_bytes == bytes as u64);
        passes(&mut to, &mut from, b"the other way");
        says_nothing(&mut to);
        scene.link.heal();
        assert_eq!(hear(&mut to, bytes), vec![1; bytes]);
    }
}

/// As a kernel does that sends again and again: the command of a client that has gone is done late.
#[test]
fn what_is_held_arrives_though_its_sender_has_gone() {
    let scene = scene();
    let (mut client, mut server) = scene.connect();
    scene.link.harm(Harm::HoldBoth, Whom::All);
    server.write_all(b"never heard").unwrap();
    client.write_all(b"late").unwrap();
    scene.wait_for(|tally| tally.held_bytes == 15);
    drop(client);
    says_nothing(&mut server);
    scene.link.heal();
    assert_eq!(hear(&mut server, 4), b"late");
}

#[test]
fn who_connects_while_both_ways_are_held_hears_nothing_until_the_link_is_whole() {
    let scene = scene();
    scene.link.harm(Harm::HoldBoth, Whom::All);
    let (mut client, mut server) = scene.connect();
    client.write_all(b"hello").unwrap();
    scene.wait_for(|tally| tally.held_bytes == 5);
    says_nothing(&mut server);
    scene.link.heal();
    assert_eq!(hear(&mut server, 5), b"hello");
}

#[test]
fn only_the_connections_that_are_named_are_held() {
    let scene = scene();
    let (mut named, mut server_of_named) = scene.connect();
    let (mut other, mut server_of_other) = scene.connect();
    let port = server_of_named.peer_addr().unwrap().port();
    scene.link.harm(Harm::HoldBoth, Whom::From(Arc::new(BTreeSet::from([port]))));
    named.write_all(b"held").unwrap();
    scene.wait_for(|tally| tally.held_bytes == 4);
    passes(&mut other, &mut server_of_other, b"not held");
    says_nothing(&mut server_of_named);
}

#[test]
fn a_reset_ends_both_ends_of_every_connection_and_new_ones_live() {
    let scene = scene();
    let mut pairs = [scene.connect(), scene.connect()];
    for (client, server) in &mut pairs {
        passes(client, server, b"before");
    }
    scene.link.reset();
    for (client, server) in &mut pairs {
        is_reset(client);
        is_reset(server);
    }
    assert_eq!(scene.link.tally(), Tally { resets: 2, ..Tally::default() });
    let (mut client, mut server) = scene.connect();
    passes(&mut client, &mut server, b"after");
}

#[test]
fn a_cut_ends_a_connection_after_some_bytes_and_both_ends_notice() {
    const MOST: usize = 100;
    let scene = scene();
    let (mut client, mut server) = scene.connect();
    passes(&mut client, &mut server, b"whole before it");
    scene.link.harm(Harm::Cut(MOST), Whom::All);
    server.write_all(&[1; 4 * MOST]).unwrap();
    let mut heard = Vec::new();
    let end = client.read_to_end(&mut heard).unwrap_err();
    assert_eq!(end.kind(), ErrorKind::ConnectionReset);
    assert!((1..=MOST).contains(&heard.len()), "{}", heard.len());
    is_reset(&mut server);
    scene.wait_for(|tally| tally.cuts == 1);
    scene.link.heal();
    let (mut client, mut server) = scene.connect();
    passes(&mut client, &mut server, &[1; 4 * MOST]);
}

#[test]
fn a_seed_cuts_at_the_same_place_again() {
    let cut_at = || {
        let scene = scene();
        scene.link.harm(Harm::Cut(1 << 16), Whom::All);
        let (mut client, mut server) = scene.connect();
        // The link may be cut before all is taken.
        let _ = server.write_all(&[1; 1 << 17]);
        let mut heard = Vec::new();
        let _ = client.read_to_end(&mut heard);
        heard.len()
    };
    assert_eq!(cut_at(), cut_at());
}

#[test]
fn a_slow_link_takes_its_time_both_ways_and_keeps_the_order() {
    let scene = scene();
    let (mut client, mut server) = scene.connect();
    let latency = Duration::from_millis(15);
    scene.link.pace(Some(Pace { latency, jitter: latency, bytes_per_second: 1 << 20 }));
    let begin = Instant::now();
    for number in 0..50 {
        client.write_all(&[number]).unwrap();
    }
    assert_eq!(hear(&mut server, 50), (0..50).collect::<Vec<u8>>());
    assert!(begin.elapsed() >= latency, "{:?}", begin.elapsed());
    passes(&mut server, &mut client, b"back");
    assert!(begin.elapsed() >= 2 * latency, "{:?}", begin.elapsed());
    assert!(scene.link.tally().delayed >= 2, "{:?}", scene.link.tally());
    let delayed = scene.link.tally().delayed;
    scene.link.pace(None);
    passes(&mut client, &mut server, b"quick again");
    assert_eq!(scene.link.tally().delayed, delayed);
}

#[test]
fn a_narrow_link_carries_no_more_than_so_many_bytes_a_second() {
    let scene = scene();
    let (mut client, mut server) = scene.connect();
    let pace = Pace { latency: Duration::ZERO, jitter: Duration::ZERO, bytes_per_second: 100_000 };
    scene.link.pace(Some(pace));
    let begin = Instant::now();
    passes(&mut client, &mut server, &[1; 10_000]);
    assert!(begin.elapsed() >= Duration::from_millis(100), "{:?}", begin.elapsed());
}

#[test]
fn more_than_a_link_holds_waits_with_its_sender_and_all_of_it_arrives() {
    const BYTES: usize = 32 << 20;
    let scene = scene();
    let (mut client, mut server) = scene.connect();
    scene.link.harm(Harm::HoldOne(Direction::ToServer), Whom::All);
    let sender = std::thread::spawn(move || client.write_all(&vec![1; BYTES]));
    scene.wait_for(|tally| tally.held_bytes >= 1 << 20);
    assert!(scene.link.tally().held_bytes < 2 << 20, "{:?}", scene.link.tally());
    scene.link.heal();
    assert_eq!(hear(&mut server, BYTES), vec![1; BYTES]);
    sender.join().unwrap().unwrap();
}
