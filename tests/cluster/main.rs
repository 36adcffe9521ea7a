//! Nodes as processes of their own, on a real Redis and a real Cassandra, that are killed, paused and robbed of
//! what they stand on, while clients talk and a checker holds every message against what was promised.
//!
//! A run is a [`bobchat_loadtest::torture`]: [`set`] starts its servers, [`node`] a node.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, its helpers too, and what is printed is shown when it fails"
)]

mod account;
mod alone;
#[path = "../api/backend/cluster.rs"]
#[expect(dead_code, reason = "the nodes of these tests are processes")]
mod backend;
#[path = "../cassandra/server.rs"]
#[expect(dead_code, reason = "the tests of the adapter use more of it")]
mod cassandra;
#[path = "../api/client.rs"]
#[expect(dead_code, reason = "the tests of one node use more of it")]
mod client;
#[path = "../support/collector.rs"]
mod collector;
mod faults;
mod forged;
#[path = "../support/guard.rs"]
mod guard;
#[path = "../support/janitor.rs"]
mod janitor;
mod node;
mod planted;
mod pool;
#[path = "../support/ports.rs"]
mod ports;
mod presence;
#[path = "../../loadtest/tests/support/proxy.rs"]
mod proxy;
#[path = "../redis/server.rs"]
#[expect(dead_code, reason = "the tests of the adapter use more of it")]
mod redis;
#[path = "../redis/cluster.rs"]
#[expect(dead_code, reason = "the tests of the adapter use more of it")]
mod redis_cluster;
mod removal;
mod renumbered;
mod run;
mod set;
mod settings;
mod sign_out;
mod switch;
mod traces;

/// As the tests of the adapter call it.
use redis as server;
