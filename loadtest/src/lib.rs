//! Bobchat's load harness: load whose every message is checked, and what to compare a server with.
//!
//! It depends on `bobchat-proto` alone, which shows that a client can be written from the protocol.
//!
//! - [`scenario`]: the loads: `fanout`, `throughput`, `idle`.
//! - [`torture`]: clients that keep every promise checked while somebody breaks the servers.
//! - [`load`]: when to send: an open-loop schedule or a closed window.
//! - [`client`]: members, each one connection, and fleets of them.
//! - [`ws`]: a lean WebSocket client. [`dialect`]: what is said over a connection.
//! - [`check`]: every message by room and seq: loss, doubles, order, agreement, acks.
//! - [`server`]: the floor and the baseline, driven by the same members.
//! - [`mod@bench`]: the bars of Bobchat, judged.

mod bench;
mod check;
pub mod cli;
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
pub mod torture;
pub mod ws;
