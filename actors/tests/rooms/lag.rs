//! A thread that does not keep up.

use std::sync::{Arc, mpsc};

use bobchat_actors::operations::{Acting, perform};
use bobchat_actors::{Core, Worker};
use bobchat_proto::ids::UserId;
use bobchat_proto::wire::{self, client_frame::Request};
use tokio::sync::oneshot;

use crate::node::{TestNode, eventually};
use crate::person::Person;

/// More than a hub's mailbox takes.
const MORE_THAN_A_MAILBOX: usize = 4_200;

/// More batches than a room keeps for a hub whose mailbox is full.
const MORE_THAN_IS_KEPT: usize = 1_100;

/// Log protocol, rule 29.
#[actix::test]
async fn subscribers_of_a_thread_that_lags_far_behind_are_told_and_go_on() {
    let node = TestNode::start().await;
    let mut ada = Person::sign_in(&node.worker, 2).await;
    let room = ada.make_room().await;
    let (go_on, heard) = subscribe_and_stall(node.worker.core.clone(), room).await;
    type_often(&node, room, 2 * MORE_THAN_A_MAILBOX).await;
    assert_eq!(node.metrics().resets.get(), 0, "signals are dropped and push nothing out");
    assert!(node.metrics().signals_dropped.get() > 0);
    for number in 0..MORE_THAN_IS_KEPT {
        say(&node, room, &format!("unheard-{number}")).await;
        if number < 1_000 {
            assert_eq!(node.metrics().resets.get(), 0, "so many are kept");
        }
    }
    eventually("more are not kept", || node.metrics().resets.get() == 1).await;
    say(&node, room, "heard").await;
    go_on.send(()).unwrap();
    let (reset, next) = heard.await.unwrap();
    let head = reset.head.unwrap().seq;
    assert!(head > 1_000, "{head}");
    assert_eq!(next.seq, head + 1, "live events go on behind the head that was told");
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

/// Ada says something past her connection, whose frames are limited.
async fn say(node: &TestNode, room: u64, key: &str) {
    let send = wire::MessageSend { room, key: key.to_owned(), text: key.to_owned(), made_at: None };
    perform(&node.worker, ada(), Request::MessageSend(send)).await.unwrap();
}

fn ada() -> Acting {
    Acting { user: UserId::new(2).unwrap(), device: None, admin: false }
}

/// Ada types: a signal for each of the room's threads every time.
async fn type_often(node: &TestNode, room: u64, times: usize) {
    for _ in 0..times {
        perform(&node.worker, ada(), Request::Typing(wire::Typing { room })).await.unwrap();
    }
}
