//! Two nodes that share a log: whoever is at one hears what happens at the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bobchat_actors::hub::SessionId;
use bobchat_actors::nodes::NodePort;
use bobchat_actors::ports::memory::{MemoryBackplane, MemoryNetwork, MemoryNodeLink, MemoryNodes, ToldLog};
use bobchat_actors::ports::{Listener, NodeListener, SignedOutDevice, Told};
use bobchat_actors::user::{Connect, ConnectError};
use bobchat_proto::ids::{DeviceId, NodeId, RoomId, UserId};
use bobchat_proto::wire::{self, client_frame::Request, ok};

use crate::node::{PATIENCE, Stores, TestNode, eventually};
use crate::person::Person;

/// Ada at one node and Bob at another, both in one room.
pub(crate) struct Pair {
    pub(crate) network: Arc<MemoryNetwork>,
    pub(crate) nodes: [TestNode; 2],
    pub(crate) ends: [Arc<MemoryBackplane>; 2],
    pub(crate) links: Arc<MemoryNodes>,
    pub(crate) link_of_two: Arc<MemoryNodeLink>,
    pub(crate) ada: Person,
    pub(crate) bob: Person,
    pub(crate) room: u64,
}

/// Starts a node that shares these stores with others, and is linked to them.
pub(crate) async fn start_node(
    number: u64,
    stores: &Stores,
    end: &Arc<MemoryBackplane>,
    link: &Arc<MemoryNodeLink>,
) -> TestNode {
    let log = Arc::new(ToldLog::new(stores.log(), end.clone()));
    let port = NodePort { link: link.clone(), node: NodeId::new(number).unwrap(), ..NodePort::alone("1.0", "here") };
    let node = TestNode::among(stores, log, end.clone(), port).await;
    let asked: Arc<dyn NodeListener> = node.worker.core.clone();
    link.listen(Arc::downgrade(&asked));
    node.worker.core.join_nodes().await.unwrap();
    let tended = node.worker.core.clone();
    actix::spawn(async move { tended.tend_nodes().await });
    let core = node.worker.core.clone();
    let listener: Arc<dyn Listener> = core.clone();
    end.listen(Arc::downgrade(&listener));
    actix::spawn(async move { core.catch_up().await });
    node
}

impl Pair {
    pub(crate) async fn start() -> Self {
        let stores = Stores::new().await;
        let network = Arc::new(MemoryNetwork::default());
        let ends = [network.join(), network.join()];
        let links = Arc::new(MemoryNodes::default());
        let [link_of_one, link_of_two] = [1, 2].map(|number| links.join(NodeId::new(number).unwrap()));
        let one = start_node(1, &stores, &ends[0], &link_of_one).await;
        let nodes = [one, start_node(2, &stores, &ends[1], &link_of_two).await];
        // The first one hears that the second one came.
        while nodes[0].worker.core.nodes.others().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut ada = Person::sign_in(&nodes[0].worker, 2).await;
        let mut bob = Person::sign_in(&nodes[1].worker, 3).await;
        let room = ada.make_room().await;
        bob.ok(Request::RoomJoin(wire::RoomJoin { room })).await;
        bob.subscribe(room).await;
        assert_eq!(ada.event().await.seq, 2, "Bob joined, at the other node");
        Self { network, nodes, ends, links, link_of_two, ada, bob, room }
    }

    pub(crate) fn room_id(&self) -> RoomId {
        RoomId::new(self.room).unwrap()
    }

    /// Both hear the same, without a hole, up to this seq.
    async fn both_hear(&mut self, seqs: std::ops::RangeInclusive<u64>) {
        for seq in seqs {
            let (at_ada, at_bob) = (self.ada.event().await, self.bob.event().await);
            assert_eq!((at_ada.seq, &at_ada), (seq, &at_bob));
        }
    }
}

#[actix::test]
async fn people_at_two_nodes_hear_each_other_in_one_order() {
    let mut pair = Pair::start().await;
    for number in 0..20 {
        pair.ada.say(pair.room, &format!("ada-{number}")).await;
        pair.bob.say(pair.room, &format!("bob-{number}")).await;
    }
    pair.both_hear(3..=42).await;
    assert!(pair.nodes[0].metrics().events_heard.get() >= 20);
}

#[actix::test]
async fn what_both_send_at_once_gets_one_order_at_both() {
    let mut pair = Pair::start().await;
    for number in 0..50 {
        let send = |key: String| {
            Request::MessageSend(wire::MessageSend { room: pair.room, text: key.clone(), key, made_at: None })
        };
        pair.ada.request(send(format!("ada-{number}")));
        pair.bob.request(send(format!("bob-{number}")));
    }
    pair.both_hear(3..=102).await;
}

#[actix::test]
async fn what_the_backplane_loses_is_read_from_the_log() {
    let mut pair = Pair::start().await;
    pair.network.is_cut.store(true, Ordering::Relaxed);
    pair.ada.say(pair.room, "lost").await;
    pair.network.is_cut.store(false, Ordering::Relaxed);
    pair.ada.say(pair.room, "heard").await;
    pair.both_hear(3..=4).await;
    assert_eq!(pair.nodes[1].metrics().holes_filled.get(), 1);
    pair.network.is_cut.store(true, Ordering::Relaxed);
    pair.ada.say(pair.room, "lost-again").await;
    pair.ends[1].hear(pair.room_id(), Told::Head(None));
    pair.both_hear(5..=5).await;
}

/// Log protocol, rule 26.
#[actix::test]
async fn whoever_saw_more_elsewhere_goes_on_from_there_at_a_node_that_heard_nothing() {
    let mut pair = Pair::start().await;
    pair.network.is_cut.store(true, Ordering::Relaxed);
    let seen = pair.ada.say(pair.room, "seen").await.position;
    let subscribe = wire::Subscribe { room: pair.room, cursor: seen };
    let ok::Result::Subscribe(answer) = pair.bob.ok(Request::Subscribe(subscribe)).await else { panic!("another") };
    assert_eq!((answer.head, answer.reset), (seen, None), "the room looked at its log first");
    let forged = seen.map(|seen| wire::Position { seq: seen.seq + 1, ..seen });
    let answer = pair.bob.answer(Request::Subscribe(wire::Subscribe { room: pair.room, cursor: forged })).await;
    let wire::server_frame::Body::Error(error) = answer else { panic!("{answer:?}") };
    assert_eq!(error.code, "invalid_cursor", "no node said that");
}

#[actix::test]
async fn a_room_that_was_told_nothing_does_not_act_on_an_old_state() {
    let mut pair = Pair::start().await;
    pair.bob.say(pair.room, "before").await;
    pair.both_hear(3..=3).await;
    pair.network.is_cut.store(true, Ordering::Relaxed);
    // Bob leaves by another device, at Ada's node. His own node does not hear of it.
    let mut phone = Person::sign_in(&pair.nodes[0].worker, 3).await;
    phone.ok(Request::RoomLeave(wire::RoomLeave { room: pair.room })).await;
    let send = wire::MessageSend { room: pair.room, key: "late".to_owned(), text: "late".to_owned(), made_at: None };
    let answer = pair.bob.answer(Request::MessageSend(send)).await;
    let wire::server_frame::Body::Error(error) = answer else { panic!("{answer:?}") };
    assert_eq!(error.code, "not_a_member", "the log refused what was decided, and the room caught up");
    assert_eq!(pair.ada.event().await.seq, 4, "the leaving");
    assert!(pair.ada.heard_nothing().await);
}

/// Log protocol, rule 26.
#[actix::test]
async fn who_was_removed_at_another_node_reads_nothing_that_came_after_it() {
    let mut pair = Pair::start().await;
    pair.network.is_cut.store(true, Ordering::Relaxed);
    // Bob leaves by another device, at Ada's node. His own node does not hear of it, and history has it all.
    let mut phone = Person::sign_in(&pair.nodes[0].worker, 3).await;
    phone.ok(Request::RoomLeave(wire::RoomLeave { room: pair.room })).await;
    pair.ada.say(pair.room, "secret").await;
    let history = wire::MessageHistory { room: pair.room, ..wire::MessageHistory::default() };
    let ok::Result::MessageHistory(page) = pair.bob.ok(Request::MessageHistory(history)).await else {
        panic!("another")
    };
    assert!(page.messages.is_empty(), "{page:?}");
    let events = wire::RoomEvents { room: pair.room, after: 0, limit: None };
    let ok::Result::RoomEvents(page) = pair.bob.ok(Request::RoomEvents(events)).await else { panic!("another") };
    assert_eq!(page.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3], "up to the leaving");
}

/// Log protocol, rule 28: a signal is judged where it is delivered.
#[actix::test]
async fn typing_is_shown_at_the_other_node() {
    let mut pair = Pair::start().await;
    pair.ada.ok(Request::Typing(wire::Typing { room: pair.room })).await;
    assert_eq!(pair.bob.typing().await.user, 2);
    let stranger = wire::TypingSignal { room: pair.room, user: 99 };
    pair.ends[1].hear(pair.room_id(), Told::Typing(stranger));
    assert!(pair.bob.heard_nothing().await, "who is no member here is not shown");
}

#[actix::test]
async fn a_room_that_cannot_keep_up_with_what_it_is_told_looks_at_its_log() {
    let mut pair = Pair::start().await;
    pair.network.is_cut.store(true, Ordering::Relaxed);
    pair.ada.say(pair.room, "one").await;
    // More than the node keeps, before the room gets its turn.
    let text = "x".repeat(1 << 20);
    let message = wire::event::Body::Message(wire::Message { text });
    let old = wire::Event { room: pair.room, epoch: 1, seq: 1, body: Some(message), ..wire::Event::default() };
    for _ in 0..100 {
        pair.ends[1].hear(pair.room_id(), Told::Events(vec![old.clone()]));
    }
    pair.both_hear(3..=3).await;
    assert!(pair.nodes[1].metrics().heard_late.get() > 0);
}

#[actix::test]
async fn a_room_that_leaves_memory_is_followed_no_more() {
    let mut pair = Pair::start().await;
    assert_eq!((pair.ends[0].followed(), pair.ends[1].followed()), (1, 1));
    let core = pair.nodes[1].worker.core.clone();
    pair.bob.hang_up();
    eventually("he is gone", || core.session_count() == 0).await;
    // The room is told by then.
    tokio::time::sleep(Duration::from_millis(10)).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    eventually("the room is followed no more", || pair.ends[1].followed() == 0).await;
    // Both heartbeats have been missed meanwhile.
    let mut ada = Person::sign_in(&pair.nodes[0].worker, 2).await;
    let mut bob = Person::sign_in(&pair.nodes[1].worker, 3).await;
    bob.subscribe(pair.room).await;
    ada.say(pair.room, "back").await;
    assert_eq!(bob.event().await.seq, 3);
    assert_eq!(pair.ends[1].followed(), 1);
}

#[actix::test]
async fn a_room_that_dies_is_followed_again_and_its_subscribers_miss_nothing() {
    let mut pair = Pair::start().await;
    pair.nodes[1].log.panic_after_append.store(true, Ordering::Relaxed);
    pair.bob.say(pair.room, "survivor").await;
    pair.ada.say(pair.room, "after").await;
    pair.both_hear(3..=4).await;
    assert_eq!(pair.ends[1].followed(), 1);
}

fn bob() -> SignedOutDevice {
    SignedOutDevice { user: UserId::new(3).unwrap(), device: None }
}

#[actix::test]
async fn a_sign_out_closes_connections_to_all_nodes_and_waits_for_their_answers() {
    let mut pair = Pair::start().await;
    let mut phone = Person::sign_in(&pair.nodes[0].worker, 3).await;
    let signed_out = pair.nodes[0].worker.core.sign_out(bob()).await;
    assert_eq!((signed_out.connections, signed_out.silent), (2, Vec::new()));
    eventually("both are closed", || (pair.bob.closed(), phone.closed()) == (Some(4403), Some(4403))).await;
    assert_eq!(pair.ada.closed(), None);
}

#[actix::test]
async fn a_sign_out_names_who_did_not_answer_and_who_did_not_hear_it_finds_a_note() {
    let mut pair = Pair::start().await;
    pair.link_of_two.is_deaf.store(true, Ordering::Relaxed);
    let signed_out = pair.nodes[0].worker.core.sign_out(bob()).await;
    let silent: Vec<_> = signed_out.silent.iter().map(|peer| peer.life.node.get()).collect();
    assert_eq!((signed_out.connections, silent), (0, vec![2]));
    let begin = tokio::time::Instant::now();
    while pair.bob.closed().is_none() {
        assert!(begin.elapsed() < Duration::from_secs(5), "what was promised");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(pair.bob.closed(), Some(4403));
}

#[actix::test]
async fn a_sign_out_while_nobody_can_be_told_is_made_up_for() {
    let mut pair = Pair::start().await;
    pair.links.is_away.store(true, Ordering::Relaxed);
    let signed_out = pair.nodes[0].worker.core.sign_out(bob()).await;
    assert_eq!((signed_out.connections, signed_out.silent.len()), (0, 1));
    pair.links.is_away.store(false, Ordering::Relaxed);
    let begin = tokio::time::Instant::now();
    while pair.bob.closed().is_none() {
        assert!(begin.elapsed() < Duration::from_secs(10), "both renew their leases every 3 s");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(pair.bob.closed(), Some(4403));
}

#[actix::test]
async fn a_device_that_signed_out_while_its_token_was_judged_is_not_let_in() {
    let pair = Pair::start().await;
    let device = DeviceId::new(77).ok();
    let who = SignedOutDevice { user: UserId::new(3).unwrap(), device };
    assert_eq!(pair.nodes[0].worker.core.sign_out(who).await.connections, 0);
    // As its session does when the store has said, just before, that the device is good.
    let session = SessionId(1_000);
    let connect = Connect { session, worker: 0, device };
    assert_eq!(pair.nodes[1].worker.user(who.user).send(connect).await.unwrap(), Err(ConnectError::SignedOut));
}

#[actix::test]
async fn devices_at_other_nodes_hear_that_a_list_of_rooms_changed() {
    let mut pair = Pair::start().await;
    let mut phone = Person::sign_in(&pair.nodes[0].worker, 3).await;
    phone.ok(Request::RoomLeave(wire::RoomLeave { room: pair.room })).await;
    let signal = pair.bob.membership().await;
    assert_eq!((signal.room.unwrap().id, signal.member), (pair.room, true), "that he joined");
    let signal = pair.bob.membership().await;
    assert_eq!((signal.room.unwrap().id, signal.member), (pair.room, false), "that he left by the other device");
}

#[actix::test]
async fn all_nodes_say_what_they_do_and_the_silent_one_is_listed() {
    let pair = Pair::start().await;
    let list = pair.nodes[0].worker.core.all_nodes(PATIENCE).await;
    let shown: Vec<_> = list.nodes.iter().map(|node| (node.id, node.version.as_str())).collect();
    assert_eq!(shown, [(1, "1.0"), (2, "1.0")]);
    let status = list.nodes[1].status.unwrap();
    assert_eq!((status.connections, status.users, status.rooms), (1, 1, 1));
    pair.link_of_two.is_deaf.store(true, Ordering::Relaxed);
    let list = pair.nodes[0].worker.core.all_nodes(Duration::from_millis(50)).await;
    assert!(list.nodes[0].status.is_some() && list.nodes[1].status.is_none());
    pair.links.is_away.store(true, Ordering::Relaxed);
    let list = pair.nodes[0].worker.core.all_nodes(Duration::from_millis(50)).await;
    assert_eq!(list.nodes.len(), 2, "its lease is believed until it ends");
}
