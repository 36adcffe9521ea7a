//! Writes as they wait for the writer: a piece of work on the open transaction, and who waits for it.

use std::time::Duration;

use bobchat_actors::ports::Unavailable;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::transaction::Transaction;

/// Whether a write makes the store larger for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    /// It adds rows: refused when the disk is nearly full.
    Grows,
    /// It changes or removes rows: allowed while there is space for a write.
    Keeps,
}

/// Why a write did not succeed.
#[derive(Debug, Clone)]
pub(super) enum Refusal {
    /// Nothing was done for want of room, in the queue or on disk; worth trying again after this time.
    Full(Duration),
    /// It may or may not be done.
    Unknown(Unavailable),
}

impl From<Refusal> for Unavailable {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full(_) => Self::new("the store takes nothing for now"),
            Refusal::Unknown(cause) => cause,
        }
    }
}

/// A write in the queue.
pub(super) struct Command {
    pub(super) job: Box<dyn Job>,
    pub(super) growth: Growth,
    /// Where the write was asked for: the commit is shown below the first of a batch.
    pub(super) span: tracing::Span,
    /// Its share of the queue's bytes, given back when it is answered.
    pub(super) _weight: OwnedSemaphorePermit,
}

/// What the writer does with a write: [`Job::apply`] inside the transaction, at most once, then
/// [`Job::finish`], exactly once.
pub(super) trait Job: Send {
    fn apply(&mut self, transaction: &mut Transaction<'_>) -> Result<(), redb::Error>;

    /// Answers whoever waits; with `Ok` only after the transaction is on disk.
    fn finish(self: Box<Self>, outcome: Result<(), Refusal>);
}

/// Work whose result goes to `reply`.
pub(super) struct Write<F, T> {
    pub(super) work: Option<F>,
    pub(super) result: Option<T>,
    pub(super) reply: oneshot::Sender<Result<T, Refusal>>,
}

impl<F, T> Job for Write<F, T>
where
    F: FnOnce(&mut Transaction<'_>) -> Result<T, redb::Error> + Send,
    T: Send,
{
    fn apply(&mut self, transaction: &mut Transaction<'_>) -> Result<(), redb::Error> {
        if let Some(work) = self.work.take() {
            self.result = Some(work(transaction)?);
        }
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<(), Refusal>) {
        let Self { result, reply, .. } = *self;
        let never_applied = Refusal::Unknown(Unavailable::new("the write was not applied"));
        // Nobody may be waiting any more: the write stands all the same.
        let _ = reply.send(outcome.and_then(|()| result.ok_or(never_applied)));
    }
}
