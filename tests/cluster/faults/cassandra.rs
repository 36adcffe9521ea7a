use std::time::Duration;

use rustix::process::Signal;

use super::{begin, end};
use crate::cassandra::{Server, free_ports};
use crate::redis::RedisServer;
use crate::run::lasting;
use crate::set::Set;

#[test]
fn cassandra_stands_still_for_a_minute() {
    let redis = RedisServer::start();
    let (port, storage_port) = free_ports(&["127.0.0.1"]);
    let cassandra = Server::start("127.0.0.1", port, storage_port, "127.0.0.1", "");
    let set = Set::with(&redis.url(), cassandra.address(), &[]);
    let torture = begin(&set);
    cassandra.signal(Signal::STOP);
    // These rooms were opened less than two minutes ago, so sends ask for their keys there, and are busy (rule 8).
    std::thread::sleep(lasting(Duration::from_secs(60)));
    cassandra.signal(Signal::CONT);
    end(torture);
}
