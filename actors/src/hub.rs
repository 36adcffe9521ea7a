//! Hubs own connections: one a worker thread.
//!
//! - [`Wire`]: what a socket must be able to do.
//! - [`Outlet`]: the way out of one connection: a direct write, and a byte-bounded queue behind it.
//! - [`LocalHub`]: the thread's connections and which rooms they receive; used directly on the thread.
//! - [`Hub`]: the actor around it, for rooms and users that live on other threads.

mod actor;
mod local;
mod outlet;
mod sweep;
mod wire;
mod writing;

pub use actor::{Close, Drain, Hub, Perform, Push, Recover, Recovered, RoomDied};
pub use local::{HiddenFrom, Job, LocalHub, Subscriber};
pub use outlet::{OutboundBudget, Outlet};
pub use wire::Wire;
pub use writing::Writing;

/// Names one live connection on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// A hub as rooms and users know it.
#[derive(Clone)]
pub struct HubLink {
    /// Which worker thread it serves.
    pub worker: usize,
    /// The actor.
    pub address: actix::Addr<Hub>,
}
