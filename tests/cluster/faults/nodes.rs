use std::time::Duration;

use bobchat_loadtest::torture::{Client, Torture};

use super::end;
use crate::pool;
use crate::run::{PATIENCE, lasting, must_be_clean, plan};
use crate::set::{NODES, Set};

/// Two who stay and one who moves, for each node, in two rooms.
fn begin(set: &Set) -> Torture {
    let clients = (0..NODES).flat_map(|node| [Client::of(node), Client::of(node), Client::roaming()]).collect();
    let torture = Torture::start(plan(set.addresses(), 2, clients)).unwrap();
    torture.talk(200, PATIENCE).unwrap();
    torture
}

#[test]
fn nodes_are_killed_in_the_middle_of_bursts() {
    let mut standing = pool::take();
    let set = &mut standing.set;
    let torture = begin(set);
    for number in 0..NODES {
        set.nodes[number].kill();
        torture.talk(100, PATIENCE).unwrap();
        set.nodes[number].run();
        set.nodes[number].wait_until_ready();
    }
    end(torture);
}

#[test]
fn a_node_stands_still_for_longer_than_its_leases_and_goes_on() {
    let standing = pool::take();
    let set = &standing.set;
    let torture = begin(set);
    set.nodes[1].pause();
    std::thread::sleep(lasting(Duration::from_secs(30)));
    set.nodes[1].resume();
    end(torture);
}

#[test]
fn nodes_are_restarted_one_after_the_other() {
    let mut standing = pool::take();
    let set = &mut standing.set;
    let torture = begin(set);
    for number in 0..NODES {
        set.nodes[number].stop();
        set.nodes[number].run();
        set.nodes[number].wait_until_ready();
        torture.talk(50, PATIENCE).unwrap();
    }
    let verdict = end(torture);
    assert_eq!((verdict.renumbered(), verdict.resets()), (0, 0), "nothing was lost that had to be put back");
}

#[test]
fn clients_move_from_node_to_node_at_random() {
    let standing = pool::take();
    let set = &standing.set;
    let clients = (0..8).map(|_| Client::roaming()).collect();
    let torture = Torture::start(plan(set.addresses(), 3, clients)).unwrap();
    torture.talk(600, PATIENCE).unwrap();
    let verdict = must_be_clean(torture);
    assert_eq!((verdict.renumbered(), verdict.resets()), (0, 0), "nothing was lost that had to be put back");
}
