//! The server as its clients meet it, once more, where it is two nodes of a cluster on a real Redis and a real
//! Cassandra: the same tests. Whoever connects comes to the next node, and whoever speaks HTTP asks another one each
//! time.
//!
//! Not here, because they are about one server's own door, process, store or costs: `attack`, `cli` (starting, backup,
//! restore), `crash`, `sync` and `model` (what its disk has when it is killed; what the death of a node costs is in
//! tests/cluster, and sequences of what people do in the simulation), `memory` (what clients cost a node), `quotas` (counted by a node for itself), `settings` (all tests
//! share them here; tests/cluster has its own), `traces` (a
//! message's way to the disk; that to other nodes is in tests/redis).
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are not covered by the exceptions for tests"
)]

mod authorization;
#[path = "backend/cluster.rs"]
mod backend;
#[path = "../cassandra/server.rs"]
#[expect(dead_code, reason = "the tests of the adapter use more of it")]
mod cassandra;
mod chat;
#[expect(dead_code, reason = "the tests of one server alone use more of it")]
mod client;
mod errors;
#[path = "../support/guard.rs"]
mod guard;
#[path = "../support/janitor.rs"]
mod janitor;
mod node;
#[path = "../support/ports.rs"]
mod ports;
#[path = "../redis/server.rs"]
#[expect(dead_code, reason = "the tests of the adapter use more of it")]
mod redis;
mod rest;
mod resume;
#[expect(dead_code, reason = "the tests of one server alone use more of it")]
mod server;
mod sockets;
mod turn;
