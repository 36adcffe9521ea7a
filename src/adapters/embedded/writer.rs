//! The one thread that writes: whatever waits becomes one transaction and one sync to disk.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bobchat_actors::ports::Unavailable;
use tokio::sync::mpsc;

use super::OpenError;
use super::command::{Command, Growth, Refusal};
use super::file::FileOptions;
use super::meta;
use super::metrics::Metrics;
use super::shared::Shared;
use super::space::{FULL_RETRY_AFTER, Reserve};
use super::transaction::Transaction;

/// The first wait before a failed database is opened again; doubles up to [`REOPEN_WAIT_MAX`].
const REOPEN_WAIT_MIN: Duration = Duration::from_millis(100);
/// Space or a disk that comes back is noticed within this.
const REOPEN_WAIT_MAX: Duration = Duration::from_secs(2);
/// While it waits, the writer refuses what comes in this often.
const REFUSE_EVERY: Duration = Duration::from_millis(20);

/// The writer's thread and all it owns.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: mpsc::Receiver<Command>,
    /// Commands of one transaction at most.
    pub(super) batch_max: usize,
    pub(super) file: FileOptions,
    pub(super) reserve: Reserve,
    pub(super) metrics: Metrics,
}

impl Writer {
    /// Starts the thread. It ends when the last sender of the queue is gone and everything is answered.
    pub(super) fn spawn(self) -> Result<JoinHandle<()>, OpenError> {
        thread::Builder::new().name("store-writer".to_owned()).spawn(|| self.run()).map_err(OpenError::Thread)
    }

    fn run(mut self) {
        let _end = EndProcessOnPanic;
        let mut batch = Vec::with_capacity(self.batch_max);
        while self.queue.blocking_recv_many(&mut batch, self.batch_max) > 0 {
            self.metrics.queue_depth.dec_by(i64::try_from(batch.len()).unwrap_or(i64::MAX));
            if !self.reserve.is_kept() {
                self.refuse_growing(&mut batch);
            }
            if !batch.is_empty() {
                self.commit(&mut batch);
            }
        }
        self.shared.replace(None);
    }

    fn refuse_growing(&self, batch: &mut Vec<Command>) {
        for command in batch.extract_if(.., |command| command.growth == Growth::Grows) {
            self.metrics.full.inc();
            command.job.finish(Err(Refusal::Full(FULL_RETRY_AFTER)));
        }
    }

    /// Writes the batch as one transaction and answers it.
    fn commit(&mut self, batch: &mut Vec<Command>) {
        let parent = batch.first().map_or_else(tracing::Span::none, |first| first.span.clone());
        let span = tracing::debug_span!(
            target: "bobchat::trace",
            parent: &parent,
            "store.commit",
            writes = batch.len(),
            events = tracing::field::Empty,
        );
        let outcome = span.in_scope(|| self.write(batch));
        drop((span, parent));
        match outcome {
            Ok(()) => batch.drain(..).for_each(|command| command.job.finish(Ok(()))),
            Err(error) => {
                tracing::error!(error = %error, writes = batch.len(), "could not commit to the store: opening it again");
                let refusal = Refusal::Unknown(Unavailable::new(error));
                batch.drain(..).for_each(|command| command.job.finish(Err(refusal.clone())));
                self.reopen();
            }
        }
    }

    fn write(&self, batch: &mut [Command]) -> Result<(), redb::Error> {
        let database = self.shared.database().ok_or(redb::Error::DatabaseClosed)?;
        let started = Instant::now();
        let mut inner = database.begin_write()?;
        // A reopen after SIGKILL then takes milliseconds instead of a walk over the file.
        inner.set_quick_repair(true);
        let mut transaction = Transaction::new(&inner);
        for command in batch {
            transaction.run(|transaction| command.job.apply(transaction))?;
        }
        let (is_changed, events) = (transaction.is_changed(), transaction.events);
        drop(transaction);
        if !is_changed {
            return Ok(inner.abort()?);
        }
        inner.commit()?;
        tracing::Span::current().record("events", events);
        self.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
        if events > 0 {
            self.metrics.commit_events.observe(events as f64);
        }
        Ok(())
    }

    /// redb refuses everything after an error of input or output until it is opened again.
    fn reopen(&mut self) {
        self.shared.replace(None);
        let mut wait = REOPEN_WAIT_MIN;
        loop {
            self.refuse_for(wait);
            match self.open() {
                Ok(database) => {
                    tracing::info!(file = %self.file.file.display(), "the store is open again");
                    return self.shared.replace(Some(database));
                }
                Err(error) => tracing::warn!(error = %error, "could not open the store again"),
            }
            if self.queue.is_closed() && self.queue.is_empty() {
                return;
            }
            wait = (wait * 2).min(REOPEN_WAIT_MAX);
        }
    }

    fn open(&self) -> Result<redb::Database, OpenError> {
        let database = self.file.open(Duration::ZERO)?;
        meta::check(&database, &self.file.file)?;
        Ok(database)
    }

    /// Answers everything that comes within `wait`, instead of letting it wait as well.
    fn refuse_for(&mut self, wait: Duration) {
        let deadline = Instant::now() + wait;
        while Instant::now() < deadline {
            while let Ok(command) = self.queue.try_recv() {
                self.metrics.queue_depth.dec();
                self.metrics.full.inc();
                command.job.finish(Err(Refusal::Full(FULL_RETRY_AFTER)));
            }
            thread::sleep(REFUSE_EVERY);
        }
    }
}

/// A store whose writer is gone would refuse for ever. Whoever supervises the process starts it again.
struct EndProcessOnPanic;

impl Drop for EndProcessOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!("the store's writer panicked: the process ends");
            std::process::abort();
        }
    }
}
