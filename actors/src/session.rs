//! A session: one live connection of one user. It asks users and rooms and waits for their answers; they never wait for
//! it (log protocol, rule 37).
//!
//! - [`Inlet`]: the way in, read by the session; what stands behind it decodes and guards WebSocket frames.
//! - [`frame`]: the outer form of what goes out.
//! - [`Session`]: the actor. Signs the connection in, checks rates, hands requests to
//!   [`crate::operations`], answers, and lets it receive rooms.

// Reads what strangers send: a sum that does not fit has to be decided about.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod actor;
mod auth;
mod catch_up;
pub mod frame;
mod inlet;
mod pages;
mod reads;

pub use actor::Session;
pub use inlet::{Incoming, Inlet};
