//! Who is here, when a room's people are at two nodes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bobchat_actors::nodes::LEASE;
use bobchat_actors::ports::memory::{MemoryNetwork, MemoryNodes};
use bobchat_actors::ports::{NodeLife, NodePresence, Told, WhoIsHere};
use bobchat_proto::ids::{NodeId, UserId};
use bobchat_proto::wire::{self, client_frame::Request, ok};
use tokio::time::{Instant, sleep};

use crate::node::{PATIENCE, Stores};
use crate::nodes::{Pair, start_node};
use crate::person::Person;

/// Longer than nodes gather changes before they tell them.
const SETTLED: Duration = Duration::from_millis(200);

/// What a busy machine may add to what takes a certain time.
const BUSY: Duration = Duration::from_secs(5);

/// Waits until both are seen at both nodes.
async fn start() -> Pair {
    let mut pair = Pair::start().await;
    wait_for(&mut pair.ada, pair.room, &[2, 3]).await;
    wait_for(&mut pair.bob, pair.room, &[2, 3]).await;
    pair.ada.forget_presence().await;
    pair.bob.forget_presence().await;
    pair
}

async fn present(person: &mut Person, room: u64) -> (Vec<u64>, u64) {
    match person.ok(Request::RoomPresence(wire::RoomPresence { room })).await {
        ok::Result::RoomPresence(answer) => (answer.users.iter().map(|user| user.id).collect(), answer.count),
        other => panic!("another answer: {other:?}"),
    }
}

pub(crate) async fn wait_for(person: &mut Person, room: u64, expected: &[u64]) {
    let begin = Instant::now();
    loop {
        let (users, count) = present(person, room).await;
        if users == expected && count == expected.len() as u64 {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{users:?} ({count}), not {expected:?}");
        // No faster than a client may ask.
        sleep(Duration::from_millis(40)).await;
    }
}

#[actix::test]
async fn who_is_at_another_node_is_here_and_leaves_with_the_last_connection() {
    let mut pair = start().await;
    // A second connection, at the other node: he was here before.
    let mut phone = Person::sign_in(&pair.nodes[0].worker, 3).await;
    phone.subscribe(pair.room).await;
    sleep(SETTLED).await;
    assert_eq!(pair.ada.presence_heard(), []);
    pair.bob.hang_up();
    sleep(SETTLED).await;
    assert_eq!(pair.ada.presence_heard(), [], "his phone is still here");
    assert_eq!(present(&mut pair.ada, pair.room).await, (vec![2, 3], 2));
    phone.hang_up();
    wait_for(&mut pair.ada, pair.room, &[2]).await;
    assert_eq!(pair.ada.presence_heard(), [(3, false)]);
    let mut again = Person::sign_in(&pair.nodes[1].worker, 3).await;
    again.subscribe(pair.room).await;
    wait_for(&mut pair.ada, pair.room, &[2, 3]).await;
    assert_eq!(pair.ada.presence_heard(), [(3, true)]);
}

#[actix::test]
async fn while_nobody_comes_or_goes_nothing_is_told() {
    let mut pair = start().await;
    sleep(SETTLED).await;
    let told = || pair.nodes.iter().map(|node| node.metrics().presence_told.get()).sum::<u64>();
    let before = told();
    for number in 0..20 {
        pair.ada.say(pair.room, &format!("ada-{number}")).await;
    }
    sleep(Duration::from_secs(4)).await;
    assert_eq!(told(), before, "also by messages and renewals of leases");
}

/// Log protocol, rule 30: one lease a node.
#[actix::test]
async fn the_people_of_a_node_that_was_killed_are_gone_within_its_lease_and_come_back_with_it() {
    let mut pair = start().await;
    let before = pair.nodes[1].worker.core.nodes.own().life;
    let begin = Instant::now();
    pair.link_of_two.is_parted.store(true, Ordering::Relaxed);
    wait_for(&mut pair.ada, pair.room, &[2]).await;
    assert!(begin.elapsed() <= LEASE + BUSY, "{:?}", begin.elapsed());
    assert_eq!(pair.ada.presence_heard(), [(3, false)]);
    // The node was not dead but frozen.
    pair.link_of_two.is_parted.store(false, Ordering::Relaxed);
    wait_for(&mut pair.ada, pair.room, &[2, 3]).await;
    wait_for(&mut pair.bob, pair.room, &[2, 3]).await;
    assert_eq!(pair.ada.presence_heard(), [(3, true)]);
    assert_ne!(pair.nodes[1].worker.core.nodes.own().life, before, "it comes back as another life");
    let life = before.life;
    let old = NodePresence { who: WhoIsHere::Everybody(vec![UserId::new(2).unwrap()]), ..told(2, life) };
    pair.ends[0].hear(pair.room_id(), Told::Presence(old));
    sleep(SETTLED).await;
    assert_eq!(present(&mut pair.ada, pair.room).await.1, 2, "what it said in its life before counts for nothing");
}

fn told(node: u64, life: u64) -> NodePresence {
    let life = NodeLife { node: NodeId::new(node).unwrap(), life };
    NodePresence { life, number: 1, who: WhoIsHere::Everybody(Vec::new()), count: 1, ask: false }
}

#[actix::test]
async fn a_node_that_leaves_takes_its_people_along_at_once() {
    let mut pair = start().await;
    pair.nodes[1].worker.core.nodes.leave().await;
    let begin = Instant::now();
    wait_for(&mut pair.ada, pair.room, &[2]).await;
    assert!(begin.elapsed() < LEASE / 2);
}

#[actix::test]
async fn a_node_that_comes_to_be_known_late_is_asked_for_its_people() {
    let (stores, network, links) = (Stores::new().await, Arc::new(MemoryNetwork::default()), MemoryNodes::default());
    let links = Arc::new(links);
    let [one, two] = [1, 2].map(|number| (network.join(), links.join(NodeId::new(number).unwrap())));
    let first = start_node(1, &stores, &one.0, &one.1).await;
    // The first one does not hear that the other came, and sees it in the leases when it renews its own the next time.
    sleep(SETTLED).await;
    one.1.is_deaf.store(true, Ordering::Relaxed);
    let second = start_node(2, &stores, &two.0, &two.1).await;
    let mut bob = Person::sign_in(&second.worker, 3).await;
    let room = bob.make_room().await;
    // What the second one tells of its people, nobody hears.
    sleep(SETTLED).await;
    let mut ada = Person::sign_in(&first.worker, 2).await;
    ada.ok(Request::RoomJoin(wire::RoomJoin { room })).await;
    ada.subscribe(room).await;
    assert!(first.worker.core.nodes.others().is_empty());
    assert_eq!(present(&mut ada, room).await, (vec![2], 1), "nobody was there to be asked");
    wait_for(&mut ada, room, &[2, 3]).await;
    wait_for(&mut bob, room, &[2, 3]).await;
}

#[actix::test]
async fn what_was_lost_is_asked_for() {
    let mut pair = start().await;
    pair.network.is_cut.store(true, Ordering::Relaxed);
    pair.bob.hang_up();
    sleep(SETTLED).await;
    pair.network.is_cut.store(false, Ordering::Relaxed);
    assert_eq!(present(&mut pair.ada, pair.room).await.1, 2, "nobody said that he left");
    // As an adapter does whose connection was cut.
    pair.ends[0].hear(pair.room_id(), Told::Anew);
    wait_for(&mut pair.ada, pair.room, &[2]).await;
    assert_eq!(pair.ada.presence_heard(), [(3, false)]);
}

#[actix::test]
async fn a_node_whose_room_is_gone_does_not_answer_and_its_people_are_forgotten() {
    let mut pair = start().await;
    pair.ends[1].forget_all();
    pair.network.is_cut.store(true, Ordering::Relaxed);
    pair.bob.hang_up();
    sleep(SETTLED).await;
    pair.network.is_cut.store(false, Ordering::Relaxed);
    pair.ends[0].hear(pair.room_id(), Told::Anew);
    wait_for(&mut pair.ada, pair.room, &[2]).await;
}

#[actix::test]
async fn a_room_that_dies_learns_again_who_is_elsewhere() {
    let mut pair = start().await;
    pair.nodes[0].log.panic_after_append.store(true, Ordering::Relaxed);
    pair.ada.say(pair.room, "survivor").await;
    wait_for(&mut pair.ada, pair.room, &[2, 3]).await;
    pair.ada.hang_up();
    wait_for(&mut pair.bob, pair.room, &[3]).await;
}

#[actix::test]
async fn who_leaves_the_room_is_here_no_more_at_any_node() {
    let mut pair = start().await;
    pair.bob.ok(Request::RoomLeave(wire::RoomLeave { room: pair.room })).await;
    wait_for(&mut pair.ada, pair.room, &[2]).await;
    sleep(SETTLED).await;
    assert_eq!(pair.ada.presence_heard(), [(3, false)]);
}

/// Log protocol, rule 28.
#[actix::test]
async fn who_is_no_member_is_not_shown_whatever_another_node_says() {
    let mut pair = start().await;
    let life = pair.nodes[1].worker.core.nodes.own().life.life;
    let users = [3, 99].map(|user| UserId::new(user).unwrap()).to_vec();
    let forged = NodePresence { who: WhoIsHere::Everybody(users), count: 2, number: 50, ..told(2, life) };
    pair.ends[0].hear(pair.room_id(), Told::Presence(forged));
    sleep(SETTLED).await;
    assert_eq!((present(&mut pair.ada, pair.room).await, pair.ada.presence_heard()), ((vec![2, 3], 2), vec![]));
}
