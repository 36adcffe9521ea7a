//! The log of a cluster, decided: what a node does, step by step, so that a room's events have one order and
//! survive while the server of live logs may lose or roll back what it holds.
//!
//! # The cast
//! Each job is a [`Job`]: a pure state machine that names one call at a time ([`Call`]) and is told what came
//! of it ([`Reply`]). It reads no clock and waits for nothing, so that it runs against real servers, in tests
//! and in the simulation alike; between any two steps its node may die.
//!
//! - [`Send`]: adds a batch, surely once. [`Salvage`]: puts back what a lost epoch held.
//! - [`Raise`]: opens a log under a new epoch, when the old one cannot be trusted any more.
//! - [`Archive`]: stores what live logs hold, so that they may let go of it.
//! - [`Fill`]: reads what a room has not applied, from the live log and the store.
//! - [`Unarchived`]: what a node answered for and what is not stored yet. The one thing here that lasts.
//! - [`run`]: carries out a job's calls on the ports. It decides nothing.
//!
//! Comments name the rule of the protocol that a line keeps; docs/architecture.md ("The log of a cluster") says
//! which test breaks without it.

mod archive;
mod calls;
mod drive;
mod fill;
mod keys;
mod plant;
mod raise;
mod renumber;
mod runs;
mod salvage;
mod send;
#[cfg(test)]
mod simulation;
mod unarchived;

pub use archive::{Archive, ArchiveEnd};
pub use calls::{Call, Job, Reply, Step};
pub(crate) use drive::wait;
pub use drive::{Node, run};
pub use fill::{Fill, FillEnd};
pub use keys::{Attempt, KEYS_REMEMBERED, KeyAge, asks_the_table, judge_key};
pub(crate) use plant::Plant;
pub use raise::{Raise, RaiseEnd};
pub(crate) use runs::as_stored;
pub use salvage::{Salvage, SalvageEnd};
pub use send::{Need, Outgoing, Send, SendEnd, SendJob};
pub use unarchived::{Permit, Unarchived};
