//! Rooms come and go: by need, and by accident.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::{Context, Handler};
use bobchat_actors::hub::{SessionId, Subscriber};
use bobchat_actors::operations::Acting;
use bobchat_actors::ports::{Append, NewEvent, RoomLog as _, SignedOutDevice};
use bobchat_actors::room::{Attach, Attached, body_hash};
use bobchat_actors::user::User;
use bobchat_proto::codec::Format;
use bobchat_proto::ids::{Epoch, Position, RoomId, Sequence, UserId};
use bobchat_proto::wire::{self, client_frame::Request, event::Body};
use tokio::task::yield_now;

use crate::node::{PATIENCE, TestNode, eventually};
use crate::person::Person;

/// Log protocol, rules 38 and 39.
#[actix::test]
async fn a_room_that_dies_comes_back_and_its_subscribers_miss_nothing() {
    let node = TestNode::start().await;
    let mut ada = Person::sign_in(&node.worker, 2).await;
    let mut bob = Person::sign_in(&node.worker, 3).await;
    let room = ada.make_room().await;
    bob.ok(Request::RoomJoin(wire::RoomJoin { room })).await;
    bob.subscribe(room).await;
    assert_eq!(ada.event().await.seq, 2, "Bob joined");
    node.log.panic_after_append.store(true, Ordering::Relaxed);
    // The first attempt is in the log when the room dies; the second finds it there by its key.
    let sent = ada.say(room, "survivor").await;
    assert_eq!(sent.position.unwrap().seq, 3);
    for person in [&mut ada, &mut bob] {
        let event = person.event().await;
        assert_eq!((event.seq, event.key.as_deref()), (3, Some("survivor")));
    }
    assert_eq!(ada.say(room, "after").await.position.unwrap().seq, 4);
    assert_eq!((ada.event().await.seq, bob.event().await.seq), (4, 4), "once, and in order");
    assert_eq!(node.metrics().rooms_recovered.get(), 1);
}

#[actix::test]
async fn a_room_that_dies_comes_back_without_being_asked() {
    let node = TestNode::start().await;
    let mut ada = Person::sign_in(&node.worker, 2).await;
    let room = ada.make_room().await;
    node.log.panic_after_append.store(true, Ordering::Relaxed);
    let _ = ada.say(room, "survivor").await;
    assert_eq!(ada.event().await.seq, 2);
    assert_eq!(node.metrics().rooms.get(), 1);
}

/// Log protocol, rule 27: what a room on another thread had ready for a connection may come after the connection has begun
/// anew, and would be heard out of order.
#[actix::test]
async fn a_connection_that_has_begun_anew_hears_nothing_of_what_it_asked_for_before() {
    let node = TestNode::start().await;
    let mut ada = Person::sign_in(&node.worker, 2).await;
    let room = ada.make_room().await;
    let user = UserId::new(2).unwrap();
    let attach = |wanted| Attach {
        acting: Acting { user, device: None, admin: false },
        // The first connection of the node.
        subscriber: Subscriber { session: SessionId(0), user, format: Format::Protobuf },
        worker: node.worker.index,
        wanted,
        after: Position { epoch: Epoch::FIRST, seq: Sequence::ZERO },
    };
    let address = node.worker.room(RoomId::new(room).unwrap());
    assert_eq!(address.send(attach(Weak::new())).await.unwrap(), Attached::Live);
    assert!(ada.heard_nothing().await);
    let wanted = Arc::new(());
    assert_eq!(address.send(attach(Arc::downgrade(&wanted))).await.unwrap(), Attached::Live);
    assert_eq!(ada.event().await.seq, 1);
}

/// A public room's first event, by Bob.
fn made_by_bob(room: RoomId) -> Append {
    let settings = wire::RoomSettings { kind: wire::RoomKind::Public as i32, ..wire::RoomSettings::default() };
    let body = Body::Created(wire::RoomCreated { settings: Some(settings) });
    let body_hash = body_hash(&body);
    let event = wire::Event { room: room.get(), id: 1_000, author: 3, body: Some(body), ..wire::Event::default() };
    let events = vec![NewEvent { event, body_hash, made_at: None }];
    Append { room, epoch: Epoch::FIRST, known_seq: Sequence::ZERO, state_seq: Sequence::ZERO, events }
}

#[actix::test]
async fn a_room_whose_first_event_comes_while_it_is_read_is_read_again() {
    let node = TestNode::start().await;
    let room = RoomId::new(50).unwrap();
    node.log.open(room).await.unwrap();
    *node.log.before_head.lock().unwrap() = Some(made_by_bob(room));
    let mut ada = Person::sign_in(&node.worker, 2).await;
    ada.ok(Request::RoomJoin(wire::RoomJoin { room: room.get() })).await;
}

#[actix::test]
async fn an_idle_room_leaves_memory_and_comes_back_as_it_was() {
    let node = TestNode::start().await;
    let mut ada = Person::sign_in(&node.worker, 2).await;
    let room = ada.make_room().await;
    ada.say(room, "one").await;
    assert_eq!(node.metrics().rooms.get(), 1);
    let core = node.worker.core.clone();
    ada.hang_up();
    eventually("she is gone", || core.session_count() == 0).await;
    // The room is told by then.
    tokio::time::sleep(Duration::from_millis(10)).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(59)).await;
    tokio::task::yield_now().await;
    assert_eq!(node.metrics().rooms.get(), 1, "not before its time");
    tokio::time::advance(Duration::from_secs(2)).await;
    tokio::time::resume();
    eventually("the room is gone", || node.metrics().rooms.get() == 0).await;
    let mut ada = Person::sign_in(&node.worker, 2).await;
    assert_eq!(ada.say(room, "two").await.position.unwrap().seq, 3);
    // It was busy when it was used, and nobody subscribed or left since: that kept it for ever.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    eventually("it is gone, also when it was only written to", || node.metrics().rooms.get() == 0).await;
}

#[actix::test]
async fn a_user_leaves_memory_with_the_last_connection() {
    let node = TestNode::start().await;
    let mut desk = Person::sign_in(&node.worker, 2).await;
    let mut phone = Person::sign_in(&node.worker, 2).await;
    assert_eq!((node.metrics().users.get(), node.worker.core.session_count()), (1, 2));
    desk.hang_up();
    phone.hang_up();
    let held = || (node.metrics().users.get(), node.worker.core.session_count());
    eventually("both are gone", || held() == (0, 0)).await;
}

/// Kills the actor that handles it.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Poison;

impl Handler<Poison> for User {
    type Result = ();

    fn handle(&mut self, _: Poison, _: &mut Context<Self>) {
        panic!("planted: the user dies");
    }
}

#[actix::test]
async fn the_connections_of_a_user_that_dies_are_told_to_come_back() {
    let node = TestNode::start().await;
    let mut ada = Person::sign_in(&node.worker, 2).await;
    let mut bob = Person::sign_in(&node.worker, 3).await;
    node.worker.user(UserId::new(2).unwrap()).do_send(Poison);
    eventually("she is told", || ada.closed() == Some(4001)).await;
    assert_eq!(bob.closed(), None);
    let mut again = Person::sign_in(&node.worker, 2).await;
    let who = SignedOutDevice { user: UserId::new(2).unwrap(), device: None };
    assert_eq!(node.worker.core.sign_out(who).await.connections, 1);
    eventually("the one that took its place knows its connections", || again.closed() == Some(4403)).await;
}

#[actix::test]
async fn a_session_that_dies_takes_nobody_along() {
    let node = TestNode::start().await;
    let mut ada = Person::sign_in(&node.worker, 2).await;
    let room = ada.make_room().await;
    let mut dead = Person::connect(&node.worker);
    // The authenticator takes it for an identifier, and panics.
    dead.request(Request::Auth(wire::Auth { token: "no number".to_owned(), cursors: Vec::new() }));
    eventually("it is not counted any more", || node.worker.core.session_count() == 1).await;
    assert_eq!(ada.say(room, "alive").await.position.unwrap().seq, 2);
    assert_eq!(ada.event().await.seq, 2);
}

/// Log protocol, rule 39: who left is not in the list that the hub gives back.
#[actix::test]
async fn a_room_of_another_thread_writes_through_that_threads_hub() {
    let node = TestNode::start().await;
    let other = bobchat_actors::Worker::start(node.worker.core.clone());
    let mut ada = Person::sign_in(&node.worker, 2).await;
    let mut bob = Person::sign_in(&other, 3).await;
    let room = ada.make_room().await;
    bob.ok(Request::RoomJoin(wire::RoomJoin { room })).await;
    bob.subscribe(room).await;
    for seq in 3..103 {
        ada.say(room, &format!("k{seq}")).await;
    }
    let mut seqs = Vec::new();
    for _ in 0..100 {
        seqs.push(bob.event().await.seq);
    }
    assert_eq!(seqs, (3..103).collect::<Vec<_>>());
    bob.ok(Request::RoomLeave(wire::RoomLeave { room })).await;
    assert_eq!(bob.event().await.seq, 103, "the leaving itself");
    ada.say(room, "not-for-Bob").await;
    node.log.panic_after_append.store(true, Ordering::Relaxed);
    ada.say(room, "survivor").await;
    assert_eq!(ada.event().await.seq, 2);
    assert!(bob.heard_nothing().await, "the list of the other thread changed too");
}

/// Log protocol, rule 27.
#[actix::test]
async fn who_is_far_behind_reads_history_first_then_goes_live() {
    let node = TestNode::start().await;
    let mut ada = Person::sign_in(&node.worker, 2).await;
    let room = ada.make_room().await;
    for number in 0..20 {
        ada.say(room, &format!("k{number}")).await;
    }
    let mut again = Person::sign_in(&node.worker, 2).await;
    let start = Some(wire::Position { epoch: 0, seq: 0 });
    again.ok(Request::Subscribe(wire::Subscribe { room, cursor: start })).await;
    for seq in 1..=21 {
        assert_eq!(again.event().await.seq, seq);
    }
}

#[actix::test]
async fn a_thread_whose_hub_died_is_noticed() {
    let node = TestNode::start().await;
    let core = node.worker.core.clone();
    let soon = tokio::time::timeout(Duration::from_millis(1_500), core.hub_died()).await;
    assert!(soon.is_err(), "all live");
    let thread = actix::Arbiter::new();
    let shared = core.clone();
    thread.spawn_fn(move || drop(bobchat_actors::Worker::start(shared)));
    while core.hubs().len() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    thread.stop();
    tokio::time::timeout(PATIENCE, core.hub_died()).await.unwrap();
}

/// Whoever signs in while they stand in the line of strangers leaves it: else they would keep the turn, and nobody on
/// their thread would be let in again.
#[actix::test]
async fn who_signs_in_while_they_wait_for_their_turn_keeps_nobody_from_theirs() {
    const STRANGERS: usize = 10;
    let node = TestNode::start().await;
    let (begun, going) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(true)));
    for _ in 0..STRANGERS {
        let (turns, begun, going) = (node.worker.strangers.clone(), begun.clone(), going.clone());
        actix::spawn(async move {
            let busy = async {
                while going.get() {
                    begun.set(begun.get() + 1);
                    yield_now().await;
                }
            };
            turns.pace(busy).await;
        });
    }
    // More than have a turn at once.
    let mut people: Vec<Person> = (0..STRANGERS).map(|_| Person::connect(&node.worker)).collect();
    for person in &mut people {
        person.request(Request::Auth(wire::Auth { token: "2".to_owned(), cursors: Vec::new() }));
    }
    let mut last = 0;
    for _ in 0..50 {
        for person in &mut people {
            last = person.request(Request::Ping(wire::Ping {}));
        }
        yield_now().await;
    }
    for person in &mut people {
        person.answer_to(last).await;
    }
    let before = begun.get();
    // Much sooner than the connection would be closed for being silent, and its place with it.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(begun.get() > before + STRANGERS, "strangers have their turns: {before}, {}", begun.get());
    going.set(false);
}
