//! Settings: what operators change while nodes run, on all of them.
//!
//! A setting is a key of the configuration ([`LIVE_KEYS`](crate::config::LIVE_KEYS)) and its value. All settings
//! together are one version; a change makes the next one, which holds all of them again, who made it, and what it
//! changed: what is kept is the audit.
//!
//! - `port`: [`SettingsStore`] keeps versions, each made once; `memory` is the reference, `contract` the suite.
//! - `change`: what is asked, and whether it may be: a pure function from a version and a wish to the next version.
//! - [`Settings`] (`desk`): reads, changes and brings back, for the operator's listener and the command line.
//! - [`Heeding`] (`heeding`): a running node applies the newest version that is good for it, and says which.
//! - `view`: what is told of all this. `metrics`: what is counted.
//!
//! What a configuration changes in a running node stands in `startup/effects`.
//!
//! A version is judged twice: whole, over the own configuration of the node that takes it, before it is kept; and by
//! each node over its own before it is applied there. A node that finds it wrong goes by the newest one
//! that is good for it, and says why to whoever asks.
//!
//! The port stands here and not in the core: docs/decisions/settings-outside-the-core.md.

mod change;
pub mod contract;
mod desk;
mod heeding;
mod memory;
mod metrics;
mod port;
mod view;

pub use change::{Author, ChangeError, Wish};
pub use desk::Settings;
pub use heeding::{Effects, Heeding, LOOK_EVERY};
pub use memory::MemorySettings;
pub use metrics::SettingsMetrics;
pub use port::{Added, SettingsStore};
pub use view::{ChangeView, HeldView, NodeView, SettingView, StatusView, VersionView, VersionsView};

#[cfg(test)]
mod tests;
