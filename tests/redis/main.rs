//! The live log on real Redis servers, which the tests start, kill, pause and promote themselves.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod append;
mod backplane;
mod check;
mod cluster;
mod contract;
#[path = "../support/guard.rs"]
mod guard;
mod memory;
mod metrics;
mod migration;
mod nodes;
mod outage;
#[path = "../support/ports.rs"]
mod ports;
mod promotion;
mod publish;
mod server;
mod support;
mod trace;
