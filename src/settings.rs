//! Settings: what operators change while nodes run, on all of them.
//!
//! A setting is a key of the configuration ([`LIVE_KEYS`](crate::config::LIVE_KEYS)) and its value. All settings
//! together are one version; a change makes the next one, which holds all of them again, who made it, and what it
//! changed: what is kept is the audit.
//!
//! - `port`: [`SettingsStore`] keeps versions, each made once; `memory` is the reference, `contract` the suite.
//!
//! The port stands here and not in the core: docs/decisions/settings-outside-the-core.md.

pub mod contract;
mod memory;
mod port;

pub use memory::MemorySettings;
pub use port::{Added, SettingsStore};
