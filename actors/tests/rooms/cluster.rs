//! Two nodes of a cluster with real rooms, over a live log that loses what it holds: nothing that was acknowledged is
//! lost, nothing doubled, and both nodes tell one order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bobchat_actors::cluster::{Cluster, ClusterMetrics, ClusterOptions, ClusterPorts};
use bobchat_actors::hub::{SessionId, Subscriber};
use bobchat_actors::nodes::NodePort;
use bobchat_actors::operations::Acting;
use bobchat_actors::ports::memory::{
    MemoryBackplane, MemoryEventStore, MemoryLiveLog, MemoryNetwork, MemoryNodes, MemoryStore, ToldLog,
};
use bobchat_actors::ports::{Clock, Directory as _, Listener, LiveLog as _, NodeListener, RoomLog, Told};
use bobchat_actors::room::{Attach, Attached, Inspect};
use bobchat_proto::codec::Format;
use bobchat_proto::ids::{NodeId, RoomId, UserId};
use bobchat_proto::record;
use bobchat_proto::wire::{self, client_frame::Request, ok, server_frame::Body};
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use crate::node::{NOW_MICROS, PATIENCE, Rooms, TestNode};
use crate::person::Person;
use crate::presence::wait_for;

/// Goes on from a fixed time, as fast as the test's own time does.
struct RunningClock(Instant);

impl Clock for RunningClock {
    fn now_micros(&self) -> i64 {
        NOW_MICROS + i64::try_from(self.0.elapsed().as_micros()).unwrap()
    }
}

/// A node, and what it holds apart from its rooms.
struct Node {
    node: TestNode,
    cluster: Arc<Cluster>,
    end: Arc<MemoryBackplane>,
}

/// What all nodes share.
struct Shared {
    clock: Arc<RunningClock>,
    live: Arc<MemoryLiveLog>,
    store: Arc<MemoryEventStore>,
    network: Arc<MemoryNetwork>,
    links: Arc<MemoryNodes>,
    options: ClusterOptions,
}

impl Shared {
    async fn new(options: ClusterOptions) -> Self {
        let clock = Arc::new(RunningClock(Instant::now()));
        let live = MemoryLiveLog::with_tail(clock.clone(), 4);
        let store = MemoryEventStore::new(clock.clone());
        for (id, handle) in [(2, "ada"), (3, "bob")] {
            let user = record::User { handle: handle.to_owned(), name: handle.to_owned(), ..record::User::default() };
            store.create_user(UserId::new(id).unwrap(), user, None).await.unwrap();
        }
        Self { clock, live, store, network: Arc::default(), links: Arc::default(), options }
    }

    async fn node(&self, number: u64) -> Node {
        let ports = ClusterPorts {
            live: self.live.clone(),
            store: self.store.clone(),
            history: self.store.clone(),
            directory: self.store.clone(),
            clock: self.clock.clone(),
            node: number,
        };
        let metrics = ClusterMetrics::register(&mut Registry::default());
        let cluster = Cluster::new(ports, self.options.clone(), metrics);
        let end = self.network.join();
        let log = Arc::new(ToldLog::new(cluster.clone(), end.clone()));
        let rooms = Rooms { log, history: cluster.clone(), directory: cluster.clone(), clock: self.clock.clone() };
        let credentials = MemoryStore::new(self.clock.clone());
        let (node_id, link) = (NodeId::new(number).unwrap(), self.links.join(NodeId::new(number).unwrap()));
        let port = NodePort { link: link.clone(), node: node_id, ..NodePort::alone("1.0", "here") };
        let node = TestNode::over(rooms, &credentials, end.clone(), port).await;
        let core = node.worker.core.clone();
        let asked: Arc<dyn NodeListener> = core.clone();
        link.listen(Arc::downgrade(&asked));
        core.join_nodes().await.unwrap();
        let answering = core.clone();
        actix::spawn(async move { answering.tend_nodes().await });
        let listener: Arc<dyn Listener> = core.clone();
        end.listen(Arc::downgrade(&listener));
        actix::spawn(async move { core.catch_up().await });
        let tended = cluster.clone();
        actix::spawn(async move { tended.tend().await });
        Node { node, cluster, end }
    }
}

/// Ada at one node and Bob at another, both in one room, and what was acknowledged.
struct Pair {
    shared: Shared,
    nodes: [Node; 2],
    ada: Person,
    bob: Person,
    room: u64,
    acked: BTreeMap<String, u64>,
}

/// Nothing is stored but by a raise, or with what changes the room.
fn unarchived() -> ClusterOptions {
    let archive_after = Duration::from_secs(3600);
    ClusterOptions { archive_after, salvage_for: Duration::from_millis(100), ..ClusterOptions::default() }
}

/// Everything is stored as soon as may be.
fn archived() -> ClusterOptions {
    ClusterOptions { archive_after: Duration::from_millis(5), ..unarchived() }
}

impl Pair {
    async fn start(options: ClusterOptions) -> Self {
        let shared = Shared::new(options).await;
        let nodes = [shared.node(1).await, shared.node(2).await];
        let mut ada = Person::sign_in(&nodes[0].node.worker, 2).await;
        let mut bob = Person::sign_in(&nodes[1].node.worker, 3).await;
        let room = ada.make_room().await;
        bob.ok(Request::RoomJoin(wire::RoomJoin { room })).await;
        bob.subscribe(room).await;
        assert_eq!(ada.event().await.seq, 2, "Bob joined, at the other node");
        Self { shared, nodes, ada, bob, room, acked: BTreeMap::new() }
    }

    fn room_id(&self) -> RoomId {
        RoomId::new(self.room).unwrap()
    }

    async fn ada_says(&mut self, keys: std::ops::Range<u32>) {
        for number in keys {
            let key = format!("ada-{number}");
            let id = say(&mut self.ada, self.room, &key).await;
            self.acked.insert(key, id);
        }
    }

    async fn bob_says(&mut self, keys: std::ops::Range<u32>) {
        for number in keys {
            let key = format!("bob-{number}");
            let id = say(&mut self.bob, self.room, &key).await;
            self.acked.insert(key, id);
        }
    }

    /// Both nodes come to tell one order, with all that was acknowledged in it once.
    async fn agree(&mut self) -> Vec<wire::Event> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (here, there) = (read(&mut self.ada, self.room).await, read(&mut self.bob, self.room).await);
            let told: BTreeMap<String, u64> =
                here.iter().map(|event| (event.key.clone().unwrap_or_default(), event.id)).collect();
            if here == there && told == self.acked && here.len() == self.acked.len() {
                return here;
            }
            assert!(Instant::now() < deadline, "acked {:#?}\nhere {here:#?}\nthere {there:#?}", self.acked);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn seq(&self) -> (u64, u64) {
        let head = self.nodes[0].cluster.head(self.room_id()).await.unwrap().unwrap();
        (head.position.epoch.0, head.position.seq.0)
    }
}

/// Says something as a client does: again under the same key until it is acknowledged.
async fn say(person: &mut Person, room: u64, key: &str) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let send = wire::MessageSend { room, key: key.to_owned(), text: key.to_owned(), made_at: None };
        match person.answer(Request::MessageSend(send)).await {
            Body::Ok(wire::Ok { result: Some(ok::Result::MessageSend(sent)) }) => return sent.id,
            Body::Error(error) if error.temporary && Instant::now() < deadline => {}
            other => panic!("not sent: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// All messages, as a client pages through them.
async fn read(person: &mut Person, room: u64) -> Vec<wire::Event> {
    let mut messages: Vec<wire::Event> = Vec::new();
    loop {
        let before = messages.first().map(|first| first.seq);
        let page = wire::MessageHistory { room, before, limit: Some(7), ..wire::MessageHistory::default() };
        let ok::Result::MessageHistory(page) = person.ok(Request::MessageHistory(page)).await else {
            panic!("another answer")
        };
        messages.splice(0..0, page.messages);
        if !page.has_more_before {
            return messages;
        }
    }
}

#[actix::test]
async fn people_at_two_nodes_talk_and_read_what_is_stored_and_what_is_not() {
    for options in [unarchived(), archived()] {
        let mut pair = Pair::start(options).await;
        for number in 0..10 {
            pair.ada_says(number..number + 1).await;
            pair.bob_says(number..number + 1).await;
        }
        for seq in 3..=22 {
            let (at_ada, at_bob) = (pair.ada.event().await, pair.bob.event().await);
            assert_eq!((at_ada.seq, &at_ada), (seq, &at_bob));
        }
        pair.agree().await;
        assert_eq!(pair.seq().await, (1, 22));
    }
}

#[actix::test]
async fn everything_is_stored_in_time_and_let_go_of() {
    let mut pair = Pair::start(archived()).await;
    pair.ada_says(0..20).await;
    assert_eq!(pair.nodes[0].cluster.drain(PATIENCE).await, 0);
    let live = pair.shared.live.tail(pair.room_id(), bobchat_proto::ids::Sequence::ZERO, 100).await.unwrap().unwrap();
    assert_eq!((live.head.archived.0, live.events.len()), (22, 4), "a short tail");
    assert_eq!(pair.shared.store.rows(pair.room_id()).len(), 22);
    pair.agree().await;
}

/// Log protocol, rules 13 and 16.
#[actix::test]
async fn a_log_that_forgets_everything_loses_nothing_of_a_room_in_use_here() {
    for options in [unarchived(), archived()] {
        let mut pair = Pair::start(options).await;
        pair.ada_says(0..5).await;
        pair.shared.live.flush_all();
        pair.ada_says(5..10).await;
        pair.bob_says(0..3).await;
        pair.agree().await;
        assert_eq!(pair.seq().await, (2, 15));
    }
}

/// Log protocol, rules 13 and 16.
#[actix::test]
async fn a_log_that_forgets_everything_loses_nothing_of_a_room_in_use_elsewhere() {
    for options in [unarchived(), archived()] {
        let mut pair = Pair::start(options).await;
        pair.ada_says(0..5).await;
        pair.shared.live.flush_all();
        pair.bob_says(0..5).await;
        pair.agree().await;
        pair.ada_says(5..8).await;
        pair.agree().await;
        assert_eq!(pair.seq().await, (2, 15));
    }
}

/// Log protocol, rules 13 and 16.
#[actix::test]
async fn a_log_that_forgets_everything_loses_nothing_of_a_room_that_nobody_uses() {
    for options in [unarchived(), archived()] {
        let mut pair = Pair::start(options).await;
        pair.ada_says(0..5).await;
        pair.bob_says(0..5).await;
        pair.ada.hang_up();
        pair.bob.hang_up();
        pair.shared.live.flush_all();
        pair.nodes = [pair.shared.node(3).await, pair.shared.node(4).await];
        pair.ada = Person::sign_in(&pair.nodes[0].node.worker, 2).await;
        pair.bob = Person::sign_in(&pair.nodes[1].node.worker, 3).await;
        pair.agree().await;
        pair.bob_says(5..6).await;
        pair.agree().await;
    }
}

/// Where a client may go on is judged before it is answered, and its connection is attached after that: a log that is
/// lost between the two has other events at the numbers that the client has. Found by `torture run --store cluster --nodes
/// 2 --faults redis-flush --every 2 --seed 11`.
#[actix::test]
async fn who_is_attached_after_the_log_lost_what_they_have_is_told() {
    let mut pair = Pair::start(unarchived()).await;
    let kept = pair.nodes[0].cluster.head(pair.room_id()).await.unwrap().unwrap().position;
    pair.ada_says(0..5).await;
    let lost = pair.nodes[0].cluster.head(pair.room_id()).await.unwrap().unwrap().position;
    pair.shared.live.flush_all();
    pair.ada_says(5..6).await;
    pair.agree().await;
    let worker = pair.nodes[0].node.worker.clone();
    let user = UserId::new(2).unwrap();
    let wanted = Arc::new(());
    let attach = |after| {
        let subscriber = Subscriber { session: SessionId(99), user, format: Format::Json };
        let acting = Acting { user, device: None, admin: false };
        Attach { acting, subscriber, worker: worker.index, wanted: Arc::downgrade(&wanted), after }
    };
    let head = pair.nodes[0].cluster.head(pair.room_id()).await.unwrap().unwrap().position;
    assert_eq!((lost.epoch.0, head.epoch.0), (1, 2));
    let attached = worker.room(pair.room_id()).send(attach(lost)).await.unwrap();
    assert_eq!(attached, Attached::Lost { head });
    let attached = worker.room(pair.room_id()).send(attach(kept)).await.unwrap();
    assert!(matches!(attached, Attached::Live | Attached::Behind { .. }), "{attached:?}");
}

/// Log protocol, rule 13.
#[actix::test]
async fn a_server_in_another_life_has_its_rooms_raised_without_anybody_saying_anything() {
    for empty in [true, false] {
        let mut pair = Pair::start(unarchived()).await;
        pair.ada_says(0..5).await;
        if empty {
            pair.shared.live.restart_empty()
        } else {
            pair.shared.live.restart()
        }
        let deadline = Instant::now() + PATIENCE;
        while pair.shared.live.head(pair.room_id()).await.unwrap().is_none() {
            assert!(Instant::now() < deadline, "nobody raised the room");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        pair.agree().await;
        assert_eq!(pair.seq().await.0, 2);
    }
}

/// The keys of the events from the position on, up to the one with this key, as a subscriber gets them.
async fn resumed(node: &Node, user: u64, room: u64, cursor: wire::Position, last: &str) -> Vec<String> {
    let mut person = Person::sign_in(&node.node.worker, user).await;
    person.ok(Request::Subscribe(wire::Subscribe { room, cursor: Some(cursor) })).await;
    heard(&mut person, last).await
}

async fn heard(person: &mut Person, last: &str) -> Vec<String> {
    let mut keys = Vec::new();
    loop {
        let event = person.event().await;
        if matches!(event.body, Some(wire::event::Body::Message(_))) {
            keys.extend(event.key);
        }
        if keys.last().is_some_and(|key| key == last) {
            return keys;
        }
    }
}

async fn keys_read(person: &mut Person, room: u64) -> Vec<String> {
    read(person, room).await.into_iter().filter_map(|event| event.key).collect()
}

/// Log protocol, rule 16.
#[actix::test]
async fn what_comes_again_is_for_those_who_were_there_live_resumed_and_read() {
    for options in [unarchived(), archived()] {
        let shared = Shared::new(options).await;
        let nodes = [shared.node(1).await, shared.node(2).await];
        let mut ada = Person::sign_in(&nodes[0].node.worker, 2).await;
        let mut bob = Person::sign_in(&nodes[1].node.worker, 3).await;
        let create = wire::RoomCreate {
            name: "tea".to_owned(),
            key: "tea".to_owned(),
            history: Some(wire::HistoryVisibility::FromJoin as i32),
            ..wire::RoomCreate::default()
        };
        let ok::Result::RoomCreate(made) = ada.ok(Request::RoomCreate(create)).await else { panic!("another answer") };
        let made = made.room.unwrap();
        let (room, begin) = (made.id, made.head.unwrap());
        ada.subscribe(room).await;
        shared.live.flush_all();
        say(&mut ada, room, "raised").await;
        bob.ok(Request::RoomJoin(wire::RoomJoin { room })).await;
        bob.subscribe(room).await;
        let joined = nodes[1].cluster.head(RoomId::new(room).unwrap()).await.unwrap().unwrap().position;
        assert_eq!(joined.epoch.0, 2);

        // A node that was away has something of the epoch before, said when Bob was no member.
        let body = Some(wire::event::Body::Message(wire::Message { text: "late".to_owned() }));
        let late = wire::Event {
            room,
            epoch: 1,
            seq: 50,
            id: 50,
            author: 2,
            key: Some("late".to_owned()),
            body,
            ..wire::Event::default()
        };
        nodes[0].cluster.put_back(RoomId::new(room).unwrap(), vec![late]);
        let deadline = Instant::now() + PATIENCE;
        while nodes[0].cluster.head(RoomId::new(room).unwrap()).await.unwrap().unwrap().position == joined {
            assert!(Instant::now() < deadline, "it is not put back");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        say(&mut ada, room, "after").await;

        let (for_ada, for_bob) = (["raised", "late", "after"], ["after"]);
        assert_eq!(heard(&mut ada, "after").await, for_ada, "live");
        assert_eq!(heard(&mut bob, "after").await, for_bob, "live");
        // From a room that has seen all of it, and from one that reads it.
        for node in [&nodes[1], &shared.node(3).await] {
            assert_eq!(resumed(node, 2, room, begin, "after").await, for_ada, "resumed");
            assert_eq!(resumed(node, 3, room, joined.into(), "after").await, for_bob, "resumed");
        }
        assert_eq!(keys_read(&mut ada, room).await, for_ada, "read");
        assert_eq!(keys_read(&mut bob, room).await, for_bob, "read");
    }
}

/// Log protocol, rule 26: a log that was opened again has a leaving at another number, and what a node knows of the old log
/// says nothing of who may see what is there now. Found by `torture run --store cluster --nodes 2 --faults redis-flush
/// --secs 100 --clients 40 --rooms 16 --rate 14 --seed 31`.
#[actix::test]
async fn who_left_is_judged_by_the_log_that_was_opened_again_and_not_by_the_lost_one() {
    let mut pair = Pair::start(unarchived()).await;
    let room = pair.room;
    // Stands before the leaving, and is not there at once when the log is opened again: it is the other node's to put back.
    pair.bob_says(0..1).await;
    pair.agree().await;
    let mut phone = Person::sign_in(&pair.nodes[0].node.worker, 3).await;
    phone.ok(Request::RoomLeave(wire::RoomLeave { room })).await;
    pair.ada_says(0..4).await;
    let applied = pair.nodes[0].cluster.head(pair.room_id()).await.unwrap().unwrap().position;
    let there = pair.nodes[1].node.worker.room(pair.room_id());
    let bob = Acting { user: UserId::new(3).unwrap(), device: None, admin: false };
    let deadline = Instant::now() + PATIENCE;
    while there.send(Inspect { acting: bob, presence: false }).await.unwrap().unwrap().room.head != Some(applied.into())
    {
        assert!(Instant::now() < deadline, "the other node hears it");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    pair.shared.network.is_cut.store(true, Ordering::Relaxed);
    pair.shared.live.flush_all();
    pair.ada_says(4..5).await;
    let read = keys_read(&mut pair.bob, room).await;
    // In the log as it is now the leaving stands third and all that was said behind it; the number that it had in the old
    // one would let through what stands there now, whoever said it and when.
    assert_eq!(read, [""; 0]);
}

/// Log protocol, rule 16: some have seen what nobody was told of.
#[actix::test]
async fn what_was_lost_before_its_author_was_answered_says_where_others_saw_it() {
    let mut pair = Pair::start(unarchived()).await;
    let (room, id) = (pair.room, pair.room_id());
    wait_for(&mut pair.ada, room, &[2, 3]).await;
    let (bobs, (seen, was_seen)) = (pair.nodes[1].end.clone(), std::sync::mpsc::channel());
    pair.shared.live.forget_in_next_append(move |events| {
        bobs.hear(id, Told::Events(events.clone()));
        seen.send(events).unwrap();
    });
    pair.ada_says(0..1).await;
    let [first] = &was_seen.recv().unwrap()[..] else { panic!("one was appended") };
    let said = pair.agree().await;
    let [again] = &said[..] else { panic!("it is there once: {said:?}") };
    assert_eq!((again.id, again.epoch), (first.id, first.epoch + 1));
    assert_eq!(again.first, Some(first.position().into()));
}

/// Log protocol, rule 27.
#[actix::test]
async fn who_resumes_far_behind_while_the_log_is_lost_goes_on_without_a_reset() {
    let mut pair = Pair::start(unarchived()).await;
    let room = pair.room;
    let begin = pair.shared.live.head(pair.room_id()).await.unwrap().unwrap().head.position;
    pair.ada_says(0..5).await;
    // Has loaded the room, and holds none of its events.
    let node = pair.shared.node(3).await;
    let mut phone = Person::sign_in(&node.node.worker, 3).await;
    phone.subscribe(room).await;
    pair.shared.live.flush_all();
    // Opened again, and who holds what was lost has not put it back yet.
    let opened = pair.nodes[1].cluster.head(pair.room_id()).await.unwrap().unwrap().position;
    assert_eq!((opened.epoch.0, opened.seq), (2, begin.seq));
    let said: Vec<_> = (0..5).map(|number| format!("ada-{number}")).collect();
    let (beats, id) = (node.end.clone(), pair.room_id());
    actix::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            beats.hear(id, Told::Head(None));
        }
    });
    let mut person = Person::sign_in(&node.node.worker, 2).await;
    person.ok(Request::Subscribe(wire::Subscribe { room, cursor: Some(begin.into()) })).await;
    assert_eq!(heard(&mut person, "ada-4").await, said);
    assert!(!person.was_reset(), "it had nothing that was lost");
}
