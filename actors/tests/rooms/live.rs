//! Options that change while people are connected.

use std::time::Duration;

use bobchat_actors::CoreOptions;
use bobchat_proto::wire::{self, client_frame::Request};

use crate::node::{TestNode, eventually};
use crate::person::Person;

#[actix::test]
async fn an_idle_room_that_waits_already_leaves_by_a_shorter_time() {
    let node = TestNode::start().await;
    let core = node.worker.core.clone();
    let day = CoreOptions { room_idle: Duration::from_secs(86_400), ..CoreOptions::default() };
    core.set_options(&day);
    let mut ada = Person::sign_in(&node.worker, 2).await;
    let room = ada.make_room().await;
    ada.say(room, "one").await;
    ada.hang_up();
    eventually("she is gone", || core.session_count() == 0).await;
    // The room is told by then.
    tokio::time::sleep(Duration::from_millis(10)).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(90)).await;
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(node.metrics().rooms.get(), 1, "it has a day");
    core.set_options(&CoreOptions { room_idle: Duration::from_secs(100), ..day });
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    eventually("the room is gone", || node.metrics().rooms.get() == 0).await;
}

#[actix::test]
async fn other_bounds_hold_for_what_waits_for_who_is_connected() {
    let node = TestNode::start().await;
    let (core, slow) = (&node.worker.core, &node.metrics().slow_consumers);
    let mut ada = Person::sign_in(&node.worker, 2).await;
    let room = ada.make_room().await;
    let mut readers = Vec::new();
    for _ in 0..2 {
        let mut bob = Person::sign_in(&node.worker, 3).await;
        bob.ok(Request::RoomJoin(wire::RoomJoin { room })).await;
        bob.subscribe(room).await;
        bob.stop_reading();
        readers.push(bob);
    }
    for number in 0..20 {
        ada.say(room, &format!("k{number}")).await;
    }
    eventually("it waits for both", || core.budget.waiting() > 2_000).await;
    assert!(slow.get() == 0 && !core.budget.is_exceeded());
    let each_max = core.budget.waiting();
    core.set_options(&CoreOptions { outbound_bytes_total_max: 1_000, ..CoreOptions::default() });
    assert!(core.budget.is_exceeded(), "the bound for all");
    core.set_options(&CoreOptions { outbound_bytes_max: each_max / 2, ..CoreOptions::default() });
    assert!(!core.budget.is_exceeded());
    ada.say(room, "one-too-many").await;
    eventually("the bound for each", || slow.get() == 2).await;
}
