use async_trait::async_trait;

use super::Unavailable;

/// A worker is lent to who makes identifiers, up to a moment (log protocol, rule 33).
///
/// The time inside an identifier is the fence. The holder makes only identifiers whose time is before `valid_until`,
/// the next holder only such whose time is at or after it. So no clock is trusted: a holder that was stopped for an
/// hour, or whose clock was set back, cannot make an identifier that another makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerLease {
    /// The worker: ten bits in the middle of an identifier.
    pub worker: u16,
    /// A random token, a new one each time that a worker is taken.
    pub holder: u128,
    /// Microseconds since 1970; only ever rises, from holder to holder as well.
    pub valid_until: i64,
}

/// Who shares the workers of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// Nobody: one process has the store to itself, so whoever held worker 0 before has ended.
    Alone,
    /// The nodes of a deployment: this many workers, from 0.
    Shared(u16),
}

/// What came of putting a lease in the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseUpdate {
    /// It stands, durably.
    Done,
    /// Another stood there: this one, and stands still. `None`: the worker was never lent.
    Changed(Option<WorkerLease>),
}

/// Keeps which worker is lent to whom. Leases are only replaced, never removed: where one ended the next begins.
#[async_trait]
pub trait WorkerLeases: Send + Sync {
    /// How many there are.
    fn workers(&self) -> Workers;

    /// Lists the leases of all workers that were ever lent. May be behind: replacing one compares it.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn worker_leases(&self) -> Result<Vec<WorkerLease>, Unavailable>;

    /// Puts `new` in the place of `old`, both of one worker, if just that stands: worker, holder and time. `None`:
    /// if the worker was never lent.
    ///
    /// # Errors
    /// [`Unavailable`]: the outcome is not known, and may change later.
    async fn replace_worker_lease(
        &self,
        old: Option<WorkerLease>,
        new: WorkerLease,
    ) -> Result<LeaseUpdate, Unavailable>;
}
