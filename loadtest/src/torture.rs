//! Clients that keep every promise checked while somebody breaks the servers: a test, or an operator.
//!
//! The other loads meet a healthy server and measure it: to them a lost connection is a fault. These clients expect
//! it. They do what docs/protocol.md asks of a client: send under keys and send again what has no answer, come back
//! with their cursors, at this node or at another, drop what a `reset` takes from them and read history instead.
//! [`check`] holds what each of them heard against what all of them heard and said, and in the end against what
//! every node has in its history.
//!
//! - [`plan`]: who does what where. [`run`]: a run, from the first room to the verdict.
//! - [`person`]: one client. [`outbox`]: its messages that are not acknowledged. [`socket`]: its connection. [`door`]:
//!   rooms that it leaves and joins. [`over_rest`]: a client without a WebSocket, whose requests [`http`] carries.
//! - [`abuser`]: those who mean harm, between the others.
//! - [`history`]: all that happened, on disk, and [`mod@judge`], who reads nothing else.
//! - [`site`]: servers as processes. [`network`]: what stands between all pairs. [`nemesis`]: what breaks both, by a
//!   schedule. [`mod@conduct`]: all of it under clients.
//! - [`planted`]: bugs on purpose, each with the run that finds it. [`cli`]: all of it as commands.
//! - [`check`]: the promises. [`verdict`]: what a run says.
//! - [`witness`]: the promises, for clients that somebody else drives.
//! - [`rest`]: signing in, rooms, heads and whole logs.

mod abuser;
mod check;
pub(crate) mod cli;
mod conduct;
mod door;
mod history;
mod http;
mod judge;
mod nemesis;
mod network;
pub mod outbox;
mod over_rest;
mod person;
mod plan;
mod planted;
mod random;
mod rest;
mod run;
mod shared;
mod site;
mod socket;
mod verdict;
mod witness;

pub use crate::check::Kind;
pub use cli::{Order, Store};
pub use conduct::conduct;
pub use judge::{Judgement, judge};
pub use plan::{Client, Habit, Over, Plan};
pub use planted::{CASES, Case};
pub use run::Torture;
pub use verdict::Verdict;
pub use witness::{ShownLog, Witness};
