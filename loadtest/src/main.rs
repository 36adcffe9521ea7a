//! Bobchat's load harness: load whose every message is checked, and what to compare a server with.
//!
//! It depends on `bobchat-proto` alone, which shows that a client can be written from the protocol.
//!
//! - [`scenario`]: the loads: `fanout`, `throughput`, `idle`.
//! - [`load`]: when to send: an open-loop schedule or a closed window.
//! - [`client`]: members, each one connection, and fleets of them.
//! - [`ws`]: a lean WebSocket client. [`dialect`]: what is said over a connection.
//! - [`check`]: every message by room and seq: loss, doubles, order, agreement, acks.
//! - [`server`]: the floor and the baseline, driven by the same members.
//! - [`mod@bench`]: the bars of Bobchat, judged.

mod bench;
mod check;
mod cli;
mod client;
mod dialect;
mod load;
mod message;
mod process;
mod report;
mod scenario;
mod server;
mod statistics;
mod time;
mod ws;

use std::process::ExitCode;

use clap::Parser as _;
use mimalloc::MiMalloc;

/// The server's allocator: what it gains must not be counted as the server's.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match cli::Command::parse().run() {
        Ok(code) => code,
        Err(error) => {
            report::say(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}
