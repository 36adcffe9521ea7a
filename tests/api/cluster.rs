//! The tests of what clients see, once more, against nodes of a cluster: the same functions on another back end.
//!
//! Not here, because they are about one server's own store, process or costs: `cli` (backup and restore, starting),
//! `crash` and `sync` (what the disk has; a node's death is in tests/cluster), `memory` (what clients cost, which is
//! the same), `traces` (followed to the commit).
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are not covered by the exceptions for tests"
)]

mod authorization;
#[path = "backend/cluster.rs"]
mod backend;
#[path = "../cassandra/server.rs"]
#[expect(dead_code, reason = "the tests of the adapter use more of it")]
mod cassandra;
mod chat;
mod client;
mod errors;
#[path = "../support/guard.rs"]
mod guard;
#[path = "../redis/server.rs"]
#[expect(dead_code, reason = "the tests of the adapter use more of it")]
mod redis;
mod rest;
mod resume;
#[expect(dead_code, reason = "tests of one server's own store use more of it")]
mod server;
mod sockets;
