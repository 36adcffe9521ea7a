//! What an operator of a cluster does with the binary: looks, brings the schema up to date, starts a node.
//!
//! `scripts/need redis cassandra` installs the servers; without them these tests fail and say so.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "../cassandra/server.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod cassandra;
#[path = "../support/certificates.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod certificates;
mod check;
mod command;
#[path = "../support/guard.rs"]
mod guard;
#[path = "../support/ports.rs"]
mod ports;
#[path = "../redis/cluster.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod redis_cluster;
mod schema;
#[path = "../redis/server.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod server;
mod start;
