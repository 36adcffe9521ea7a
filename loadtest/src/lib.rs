//! Bobchat's load harness: load whose every message is checked, and what to compare a server with.
//!
//! It depends on `bobchat-proto` alone, which shows that a client can be written from the protocol.
//!
//! - [`scenario`]: a load as data. [`mod@run`]: one run of it, from the first connection to the verdict.
//! - [`traffic`]: what members do. [`html`]: results as a page.
//! - [`canary`]: two people for each pair of nodes, who talk without end.
//! - [`torture`]: clients that keep every promise checked while somebody breaks the servers.
//! - [`load`]: when to send: an open-loop schedule or a closed window.
//! - [`client`]: members, each one connection, and fleets of them.
//! - [`ws`]: a lean WebSocket client. [`dialect`]: what is said over a connection.
//! - [`check`]: every message by room and seq: loss, doubles, order, agreement, acks.
//! - [`redis`], [`cassandra`]: what a cluster stands on, as far as the harness runs it itself.
//! - [`server`]: the floor and the baseline, driven by the same members.
//! - [`mod@bench`]: the bars of Bobchat, judged.

mod bench;
mod canary;
mod cassandra;
mod check;
pub mod cli;
mod client;
mod dialect;
mod histogram;
mod html;
mod load;
mod machine;
mod message;
mod metrics;
mod ports;
mod process;
mod redis;
mod run;
mod say;
mod scenario;
mod server;
mod statistics;
mod time;
pub mod torture;
mod traffic;
pub mod ws;
