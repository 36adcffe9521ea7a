//! Who is here, over all nodes, while one of them is killed.

use std::time::Duration;

use bobchat_actors::nodes::LEASE;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout_at};

use crate::account::Account;
use crate::client::Client;
use crate::pool;
use crate::run::{BUSY, PATIENCE};

/// Connects somebody to a node and subscribes to a room, as a member.
async fn come(address: std::net::SocketAddr, who: &Account, room: &str) -> Client {
    let mut client = Client::signed_in(address, &who.token).await;
    client.join(room).await;
    client.subscribe(room).await;
    client
}

/// Waits until a node says that exactly these are in the room.
async fn wait_until_here(client: &mut Client, room: &str, expected: &[&Account]) {
    let mut expected: Vec<_> = expected.iter().map(|account| account.user.as_str()).collect();
    expected.sort_unstable();
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = client.ok("room_presence", json!({ "room": room })).await;
        let users = answer["users"].as_array().unwrap();
        let mut here: Vec<_> = users.iter().map(|user| user["id"].as_str().unwrap()).collect();
        here.sort_unstable();
        if here == expected {
            return;
        }
        assert!(Instant::now() < end, "here are {here:?} and should be {expected:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The next who is told to have come or gone.
async fn who_changed(client: &mut Client) -> (String, bool) {
    loop {
        let frame = client.hear().await;
        if let Some(user) = frame["presence"]["user"].as_str() {
            return (user.to_owned(), frame["presence"]["online"].as_bool().unwrap());
        }
    }
}

#[tokio::test]
async fn people_of_a_killed_node_are_gone_within_its_lease_and_come_back_with_it() {
    let mut standing = tokio::task::spawn_blocking(pool::take).await.unwrap();
    let set = &mut standing.set;
    set.wait_until_all_know_each_other();
    let [at_0, at_1, at_2] = [0, 1, 2].map(|node| set.nodes[node].address);
    let [ada, bob, cyd, dan] = ["Ada", "Bob", "Cyd", "Dan"].map(|name| Account::sign_up(&set.nodes[0], name));
    let mut first = Client::signed_in(at_0, &ada.token).await;
    let room = first.make_room("here").await;
    // Dan is at two nodes, of which one stays.
    let (_phone, _desk) = (come(at_1, &dan, &room).await, come(at_2, &dan, &room).await);
    let mut second = come(at_2, &cyd, &room).await;
    wait_until_here(&mut first, &room, &[&ada, &cyd, &dan]).await;
    wait_until_here(&mut second, &room, &[&ada, &cyd, &dan]).await;
    let _bob = come(at_1, &bob, &room).await;
    for watcher in [&mut first, &mut second] {
        while who_changed(watcher).await != (bob.user.clone(), true) {}
    }

    set.nodes[1].kill();
    let end = Instant::now() + LEASE + BUSY;
    for watcher in [&mut first, &mut second] {
        let gone = timeout_at(end, who_changed(watcher)).await.expect("gone when the lease has ended");
        assert_eq!(gone, (bob.user.clone(), false), "he, and not who is somewhere else too");
        let answer = watcher.ok("room_presence", json!({ "room": room })).await;
        assert_eq!(answer["count"], 3, "{answer}");
    }

    set.nodes[1].run();
    set.nodes[1].wait_until_ready();
    let _bob = come(at_1, &bob, &room).await;
    for watcher in [&mut first, &mut second] {
        assert_eq!(who_changed(watcher).await, (bob.user.clone(), true));
    }
}
