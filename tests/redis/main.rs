//! The live log on real Redis servers, which the tests start, kill, pause and promote themselves.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod cluster;
mod contract;

mod server;
mod support;
