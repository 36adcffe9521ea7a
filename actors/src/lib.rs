//! Bobchat's core: who talks to whom, in which order, and who may.
//!
//! # The cast
//! - [`session::Session`]: actor, one live connection. Decodes frames, checks rates, asks rooms.
//! - [`user::User`]: actor, one per connected user and node: the user's sessions here.
//! - [`room::Room`]: actor, one per room and node in use. Collects what it is asked into batches, has the
//!   log append them, applies the events in order and fans them out.
//! - [`hub::Hub`]: actor, one per worker thread. Owns the thread's connections: writes frames to them,
//!   keeps their heartbeat, closes them.
//! - [`nodes::Nodes`]: this node's lease, and what nodes ask one another.
//! - [`core::Core`]: what all threads of a node share. [`worker::Worker`]: what one thread has.
//!
//! Requests go down only: session, user, room, log. Upwards go answers, frames through hubs, and hints.
//! No handler waits for an actor above it.
//!
//! # What it needs
//! The ports in [`ports`] say it in the core's own words. Nothing here names a database, HTTP or a
//! configuration key, nor actix's `System` and `Arbiter`: everything runs on the thread that starts it, so
//! the core also runs in a simulated network under a simulated clock.

pub mod bucket;
pub mod cluster;
pub mod core;
pub mod hub;
pub mod ids;
pub mod log;
pub mod metrics;
pub mod names;
pub mod nodes;
pub mod operations;
pub mod plant;
pub mod ports;
pub mod random;
pub mod registry;
pub mod room;
pub mod session;
pub mod traces;
mod turns;
pub mod user;
pub mod worker;

pub use crate::core::{Core, CoreOptions, CorePorts, LiveOptions, SettingsNews};
pub use crate::turns::Turns;
pub use crate::worker::Worker;
