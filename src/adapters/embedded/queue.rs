use std::sync::Arc;
use std::time::Duration;

use bobchat_actors::ports::Unavailable;
use bobchat_actors::traces;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::command::{Command, Growth, Refusal, Write};
use super::metrics::Metrics;
use super::transaction::Transaction;

/// Writes that wait. A room sends all it has as one, so this is a bound on busy rooms at a time; what
/// waits behind so many is better told `busy`.
const WRITES_WAITING_MAX: usize = 4096;

/// Bytes that wait: some commits' worth, so that a burst is taken, and little enough to be held.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// The queue's bytes are counted in these.
const WEIGHT_UNIT_BYTES: usize = 1024;

/// A full queue is worked off within about this.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The way to the writer, bounded in number and in bytes.
#[derive(Clone)]
pub(super) struct Queue {
    commands: mpsc::Sender<Command>,
    bytes: Arc<Semaphore>,
    metrics: Metrics,
}

impl Queue {
    pub(super) fn new(metrics: Metrics) -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(WRITES_WAITING_MAX);
        let bytes = Arc::new(Semaphore::new(WAITING_BYTES_MAX / WEIGHT_UNIT_BYTES));
        (Self { commands, bytes, metrics }, receiver)
    }

    /// Whether nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        self.commands.capacity() == self.commands.max_capacity()
    }

    /// Puts a write in the queue. Its answer comes when it is on disk, or surely or possibly is not.
    ///
    /// # Errors
    /// [`Refusal::Full`]: it is not in the queue.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        growth: Growth,
        bytes: usize,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, Refusal>>, Refusal> {
        let full = || {
            self.metrics.full.inc();
            Refusal::Full(FULL_RETRY_AFTER)
        };
        let units = u32::try_from(bytes.div_ceil(WEIGHT_UNIT_BYTES)).unwrap_or(u32::MAX);
        let weight = Arc::clone(&self.bytes).try_acquire_many_owned(units).map_err(|_| full())?;
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Write { work: Some(work), result: None, reply });
        let span = traces::present();
        // Counted before it can be taken out, or the gauge would go below zero for a moment.
        self.metrics.queue_depth.inc();
        self.commands.try_send(Command { job, growth, span, _weight: weight }).map_err(|error| {
            self.metrics.queue_depth.dec();
            match error {
                mpsc::error::TrySendError::Full(_) => full(),
                mpsc::error::TrySendError::Closed(_) => Refusal::Unknown(Unavailable::new("the store is closed")),
            }
        })?;
        Ok(answer)
    }
}
