//! The Cassandra adapter on real Cassandra 5: its contracts, its schema, and a ring that loses a node.
//!
//! `scripts/need cassandra` installs the server; without it these tests fail and say so.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers too")]

#[path = "../support/certificates.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod certificates;
mod contract;
mod deployment;
mod directory;
mod history;
mod locked;
mod metrics;
#[path = "../support/ports.rs"]
#[expect(dead_code, reason = "these servers are at more addresses than one")]
mod ports;
mod restored;
mod ring;
mod rows;
mod schema;
mod server;
mod support;
mod workers;
