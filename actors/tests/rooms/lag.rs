//! A thread that does not keep up.

use std::sync::{Arc, mpsc};

use bobchat_actors::operations::{Acting, perform};
use bobchat_actors::{Core, Worker};
use bobchat_proto::ids::UserId;
use bobchat_proto::wire::{self, client_frame::Request};
use tokio::sync::oneshot;

use crate::node::TestNode;
use crate::person::Person;

/// More than a hub's mailbox takes.
const MORE_THAN_A_MAILBOX: usize = 4_200;

/// More than a mailbox takes and a room keeps for it; the rest is patience.
const MORE_THAN_ENOUGH: usize = 50_000;

#[actix::test]
async fn subscribers_of_a_thread_that_lags_far_behind_are_told_and_go_on() {
    let node = TestNode::start().await;
    let mut ada = Person::sign_in(&node.worker, 2).await;
    let room = ada.make_room().await;
    let (go_on, heard) = subscribe_and_stall(node.worker.core.clone(), room).await;
    type_often(&node, room, MORE_THAN_A_MAILBOX, |_| false).await;
    assert_eq!(ada.say(room, "unheard").await.position.unwrap().seq, 3);
    type_often(&node, room, MORE_THAN_ENOUGH, |node| node.metrics().resets.get() > 0).await;
    assert_eq!(node.metrics().resets.get(), 1);
    assert_eq!(ada.say(room, "heard").await.position.unwrap().seq, 4);
    go_on.send(()).unwrap();
    let (reset, next) = heard.await.unwrap();
    assert_eq!(reset.head.map(|head| head.seq), Some(3));
    assert_eq!(next.seq, 4, "live events go on behind the head that was told");
}

/// Has Bob subscribe on a thread of his own, which then stands still until it is told to go on. Gives what he
/// hears afterwards.
async fn subscribe_and_stall(
    core: Arc<Core>,
    room: u64,
) -> (mpsc::Sender<()>, oneshot::Receiver<(wire::ResetSignal, wire::Event)>) {
    let (go_on, told) = mpsc::channel();
    let (hear, heard) = oneshot::channel();
    let (ready, is_ready) = oneshot::channel();
    let bob = async move |told: mpsc::Receiver<()>| {
        let worker = Worker::start(core);
        let mut bob = Person::sign_in(&worker, 3).await;
        bob.ok(Request::RoomJoin(wire::RoomJoin { room })).await;
        bob.subscribe(room).await;
        ready.send(()).unwrap();
        told.recv().unwrap();
        hear.send((bob.reset().await, bob.event().await)).unwrap();
    };
    actix::Arbiter::new().spawn_fn(move || drop(actix::spawn(bob(told))));
    is_ready.await.unwrap();
    (go_on, heard)
}

/// Ada types: a signal for each of the room's threads every time.
async fn type_often(node: &TestNode, room: u64, times: usize, is_enough: impl Fn(&TestNode) -> bool) {
    let acting = Acting { user: UserId::new(2).unwrap(), device: None, admin: false };
    for _ in 0..times {
        if is_enough(node) {
            return;
        }
        perform(&node.worker, acting, Request::Typing(wire::Typing { room })).await.unwrap();
    }
}
