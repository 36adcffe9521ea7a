//! Signing out at one node ends the device at all of them, whatever has become of those.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::account::Account;
use crate::client::Client;
use crate::node::Node;
use crate::pool::{self, Standing};
use crate::run::BUSY;
use crate::set::Set;

/// How soon a device that signed out has no connection anywhere: what is promised.
const EVERYWHERE_WITHIN: Duration = Duration::from_secs(5);

/// The code with which the connections of a device are closed that signed out.
const SIGNED_OUT: Option<u16> = Some(4403);

/// How many nodes did not answer a node so far.
fn unanswered(node: &Node) -> u64 {
    node.metric("bobchat_node_requests_unanswered_total")
}

/// Connects a device to each node.
async fn at_all(set: &Set, who: &Account) -> Vec<Client> {
    let mut clients = Vec::new();
    for node in &set.nodes {
        clients.push(Client::signed_in(node.address, &who.token).await);
    }
    clients
}

/// Each of these connections is closed in time, because its device signed out.
async fn must_close(clients: &mut [Client], since: Instant) {
    for client in clients {
        let closed = timeout_at(since + EVERYWHERE_WITHIN + BUSY, client.closed()).await;
        assert_eq!(closed.expect("closed in time"), SIGNED_OUT);
    }
}

/// A connection goes on, and so do its device's tokens at all nodes.
async fn goes_on(client: &mut Client, who: &Account, set: &Set) {
    client.ok("ping", json!({})).await;
    assert!(set.nodes.iter().all(|node| who.is_known(node)));
}

#[tokio::test]
async fn signing_out_at_one_node_ends_the_device_at_all() {
    let standing = tokio::task::spawn_blocking(pool::take).await.unwrap();
    let set = &standing.set;
    set.wait_until_all_know_each_other();
    let [ada, bob] = ["Ada", "Bob"].map(|name| Account::sign_up(&set.nodes[0], name));
    let mut hers = at_all(set, &ada).await;
    let mut his = at_all(set, &bob).await;
    let (before, begun) = (unanswered(&set.nodes[0]), Instant::now());
    bob.sign_out(&set.nodes[0]);
    assert_eq!(unanswered(&set.nodes[0]), before, "all nodes answered");
    for node in &set.nodes {
        assert!(!bob.is_known(node), "the token ended with the answer");
        let mut again = Client::connect(node.address).await;
        assert_eq!(again.error("auth", json!({ "token": bob.token })).await["code"], "unauthenticated");
    }
    must_close(&mut his, begun).await;
    for client in &mut hers {
        goes_on(client, &ada, set).await;
    }
}

/// Somebody has a copy of a device's refresh token: whichever node they bring it to, it ends everywhere.
#[tokio::test]
async fn a_refresh_token_that_is_used_again_ends_the_device_at_all_nodes() {
    let standing = tokio::task::spawn_blocking(pool::take).await.unwrap();
    let set = &standing.set;
    set.wait_until_all_know_each_other();
    let first = Account::sign_up(&set.nodes[0], "Bob");
    let second = first.refresh(&set.nodes[1]).expect("the newest is good at any node");
    let third = second.refresh(&set.nodes[2]).expect("and the next one at the next");
    let mut clients = at_all(set, &third).await;
    let begun = Instant::now();
    assert!(first.refresh(&set.nodes[1]).is_none(), "used before");
    must_close(&mut clients, begun).await;
    for node in &set.nodes {
        assert!(!third.is_known(node) && third.refresh(node).is_none());
    }
}

/// A leaving is not only refused everywhere: all devices learn of it, also where nobody says anything.
#[tokio::test]
async fn a_leaving_reaches_the_persons_devices_at_all_nodes() {
    let standing = tokio::task::spawn_blocking(pool::take).await.unwrap();
    let set = &standing.set;
    let [ada, bob] = ["Ada", "Bob"].map(|name| Account::sign_up(&set.nodes[0], name));
    let mut owner = Client::signed_in(set.nodes[2].address, &ada.token).await;
    let room = owner.make_room("door").await;
    let mut devices = at_all(set, &bob).await;
    devices[0].join(&room).await;
    for device in &mut devices {
        device.subscribe(&room).await;
    }
    let begun = Instant::now();
    bob.leave(&set.nodes[0], &room);
    for device in devices.iter_mut().chain([&mut owner]) {
        let left = async { while device.event().await["left"]["user"] != bob.user.as_str() {} };
        timeout_at(begun + EVERYWHERE_WITHIN + BUSY, left).await.expect("heard in time");
    }
    for device in &mut devices {
        assert_eq!(device.error("room_members", json!({ "room": room })).await["code"], "not_a_member");
    }
    let members = owner.ok("room_members", json!({ "room": room })).await;
    assert_eq!(members["members"].as_array().unwrap().len(), 1, "{members}");
}

#[tokio::test]
async fn a_sign_out_does_not_wait_for_a_node_that_was_killed_and_names_it() {
    let mut standing = tokio::task::spawn_blocking(pool::take).await.unwrap();
    let set = &mut standing.set;
    set.wait_until_all_know_each_other();
    let bob = Account::sign_up(&set.nodes[0], "Bob");
    let mut clients = at_all(set, &bob).await;
    // Its lease goes on for a while: the others do not know yet.
    set.nodes[2].kill();
    clients.pop();
    let (before, begun) = (unanswered(&set.nodes[0]), Instant::now());
    bob.sign_out(&set.nodes[0]);
    let answered = begun.elapsed();
    assert!(answered < EVERYWHERE_WITHIN + BUSY, "answered after {answered:?}");
    must_close(&mut clients, begun).await;
    assert_eq!(unanswered(&set.nodes[0]), before + 1);
    assert!(set.nodes[0].said("a node did not answer a sign-out", "node-2"), "its operator is told");
    set.nodes[2].run();
    set.nodes[2].wait_until_ready();
    assert!(!bob.is_known(&set.nodes[2]));
}

/// It stands still, and what it would hear when it goes on is lost too: it reads what it missed.
#[tokio::test]
async fn a_node_that_stood_still_and_heard_nothing_ends_the_device_when_it_goes_on() {
    let standing = tokio::task::spawn_blocking(pool::take).await.unwrap();
    let Standing { set, redis } = &*standing;
    set.wait_until_all_know_each_other();
    let bob = Account::sign_up(&set.nodes[0], "Bob");
    let mut clients = at_all(set, &bob).await;
    set.nodes[2].pause();
    redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    let (before, begun) = (unanswered(&set.nodes[0]), Instant::now());
    bob.sign_out(&set.nodes[0]);
    let answered = begun.elapsed();
    assert!(answered < EVERYWHERE_WITHIN + BUSY, "answered after {answered:?}");
    assert!(unanswered(&set.nodes[0]) > before);
    must_close(&mut clients[..2], begun).await;
    set.nodes[2].resume();
    must_close(&mut clients[2..], Instant::now()).await;
}

/// Nobody can be told while Redis is away. It is made up for when it is back.
#[tokio::test]
async fn a_sign_out_while_redis_is_away_reaches_the_other_nodes_when_it_is_back() {
    let mut standing = tokio::task::spawn_blocking(pool::take).await.unwrap();
    let Standing { set, redis } = &mut *standing;
    set.wait_until_all_know_each_other();
    let bob = Account::sign_up(&set.nodes[0], "Bob");
    let mut clients = at_all(set, &bob).await;
    redis.kill();
    let begun = Instant::now();
    bob.sign_out(&set.nodes[0]);
    let answered = begun.elapsed();
    assert!(answered < EVERYWHERE_WITHIN + BUSY, "answered after {answered:?}");
    must_close(&mut clients[..1], begun).await;
    redis.run();
    must_close(&mut clients[1..], Instant::now()).await;
}
