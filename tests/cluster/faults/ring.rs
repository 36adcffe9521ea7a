use std::time::Instant;

use bobchat_loadtest::torture::{Client, Torture};

use super::{begin, end};
use crate::cassandra::{Server, ring};
use crate::redis::RedisServer;
use crate::run::{PATIENCE, must_be_clean, plan};
use crate::set::Set;

/// Three copies of everything, of which two decide. The one that is killed is the one that the others found the ring
/// through, and the first that each node of Bobchat asked.
#[test]
fn one_of_three_cassandra_nodes_is_killed_and_everything_goes_on() {
    let redis = RedisServer::start();
    let mut ring = ring();
    let addresses: Vec<_> = ring.iter().map(Server::address).collect();
    let set = Set::with(&redis.url(), &addresses.join(","), &[("CASSANDRA__REPLICATION", "3")]);
    let torture = begin(&set);
    let killed = Instant::now();
    ring[0].kill();
    torture.talk(100, PATIENCE).unwrap();
    println!("100 messages within {:.2} s of the kill", killed.elapsed().as_secs_f64());
    // So does what is not answered before Cassandra has it: people, rooms and who is in them.
    let newcomers =
        Torture::start(plan(set.addresses(), 2, vec![Client::of(0), Client::of(1), Client::of(2)])).unwrap();
    newcomers.talk(50, PATIENCE).unwrap();
    must_be_clean(newcomers);
    let verdict = end(torture);
    assert_eq!((verdict.renumbered(), verdict.resets()), (0, 0), "no log was lost: {verdict}");
}
