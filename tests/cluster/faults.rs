//! The faults, each under load that is checked message by message.
//!
//! A fault of Redis meets three rooms: one that is hot on the nodes that its messages come to, one that is hot on
//! another node than where the next message comes to, and one that no node has in memory.

mod both;
mod cassandra;
mod nodes;
mod redis;
mod redis_cluster;
mod ring;
mod subscriber;

use bobchat_loadtest::torture::{Client, Torture, Verdict};

use crate::run::{PATIENCE, agreed_within, must_be_clean, plan};
use crate::set::Set;

/// The rooms of a run, by number.
const HOT: usize = 0;
const ELSEWHERE: usize = 1;
const COLD: usize = 2;

/// The stages of a run: 0 until all rooms have messages, then until the fault has ended, then to the end.
const FAULT: u32 = 1;
const AFTER: u32 = 2;

fn clients() -> Vec<Client> {
    let hot = [Client::of(0), Client::of(1), Client::of(2), Client::roaming()].map(|client| client.in_rooms(&[HOT]));
    let elsewhere = [Client::of(1), Client::of(1), Client::of(2).away(0..AFTER)];
    let cold = [Client::of(0).away(FAULT..AFTER), Client::of(1).away(FAULT..AFTER)];
    let mut clients = hot.to_vec();
    clients.extend(elsewhere.map(|client| client.in_rooms(&[ELSEWHERE])));
    clients.extend(cold.map(|client| client.in_rooms(&[COLD])));
    clients
}

/// Clients that talk in the three rooms, of which one is cold and the others are not.
fn begin(set: &Set) -> Torture {
    // Of the rooms of a test before.
    set.wait_until_rooms(0);
    let torture = Torture::start(plan(set.addresses(), 3, clients())).unwrap();
    torture.talk(200, PATIENCE).unwrap();
    let rooms = set.rooms_in_memory();
    torture.stage(FAULT);
    // On the two nodes of those who left.
    set.wait_until_rooms(rooms - 2);
    torture.talk(30, PATIENCE).unwrap();
    torture
}

/// The fault has ended: all agree in time, all go on, and every promise was kept.
fn end(mut torture: Torture) -> Verdict {
    let agreed = torture.settle(agreed_within()).unwrap();
    println!("agreed after {:.2} s", agreed.as_secs_f64());
    torture.stage(AFTER);
    torture.talk(100, PATIENCE).unwrap();
    must_be_clean(torture)
}
