//! The server as its clients meet it: started for real on a free port, spoken to over real sockets.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are not covered by the exceptions for tests"
)]

mod attack;
mod authorization;
#[path = "backend/alone.rs"]
mod backend;
#[path = "../support/certificates.rs"]
mod certificates;
mod chat;
mod cli;
mod client;
#[path = "../support/collector.rs"]
mod collector;
mod crash;
mod errors;
#[path = "../support/guard.rs"]
mod guard;
mod live;
mod memory;
mod model;
mod node;
mod process;
mod quotas;
mod rest;
mod resume;
mod series;
mod server;
mod settings;
mod sockets;
mod sync;
mod tls;
mod traces;
mod turn;
