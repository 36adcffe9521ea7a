//! The one thread that writes: whatever waits becomes one transaction, synced to disk.
//!
//! A batch of nothing but messages is on disk in the journal, any other in the store's file, which then
//! has all that the journal had: see [`super::journal`]. Events get their places inside that transaction, and nobody is
//! answered before it is on disk (log protocol, rule 35).

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bobchat_actors::plant::{self, Bug};
use bobchat_actors::ports::Unavailable;
use bobchat_actors::traces;
use redb::{Durability, WriteTransaction};
use tokio::runtime::{self, Runtime};
use tokio::sync::mpsc;

use super::OpenError;
use super::command::{Command, Growth, Refusal};
use super::file::FileOptions;
use super::journal::{Journal, Rows};
use super::meta::JOURNAL_KEY;
use super::metrics::Metrics;
use super::open::open_existing;
use super::shared::Shared;
use super::space::{FULL_RETRY_AFTER, Reserve, Space};
use super::tables::META;
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
    pub(super) checkpoint_when_idle: Duration,
    pub(super) file: FileOptions,
    pub(super) journal: Journal,
    /// What the batch under way puts, for the journal; kept for its capacity.
    pub(super) rows: Rows,
    pub(super) reserve: Reserve,
    pub(super) metrics: Metrics,
    /// In a simulation a disk that failed is not opened again: its machine has no power.
    #[cfg(feature = "planted-bugs")]
    pub(super) is_simulated: bool,
}

/// What the queue gave.
enum Received {
    Writes,
    /// Nothing for a while.
    Idle,
    /// Nothing any more.
    Closed,
}

impl Writer {
    /// Starts the thread. It ends when the last sender of the queue is gone and everything is answered.
    pub(super) fn spawn(self) -> Result<JoinHandle<()>, OpenError> {
        // It has the clock that waiting for a limited time takes, and nothing else.
        let runtime = runtime::Builder::new_current_thread().enable_time().build().map_err(OpenError::Thread)?;
        let thread = thread::Builder::new().name("store-writer".to_owned());
        thread.spawn(move || self.run(&runtime)).map_err(OpenError::Thread)
    }

    fn run(mut self, runtime: &Runtime) {
        let _end = EndProcessOnPanic;
        let mut batch = Vec::with_capacity(self.batch_max);
        loop {
            match runtime.block_on(self.receive(&mut batch)) {
                Received::Writes => self.take(&mut batch),
                // Else later: what the journal holds is safe there.
                Received::Idle if self.reserve.space() == Space::Spent => {}
                Received::Idle => self.checkpoint(),
                Received::Closed => break,
            }
        }
        if self.journal.is_used() {
            self.checkpoint();
        }
        self.shared.replace(None);
    }

    /// Does the same as the thread, as a task; `pause` is what each commit takes.
    #[cfg(feature = "planted-bugs")]
    pub(super) async fn serve(mut self, pause: impl Fn() -> Duration) {
        let mut batch = Vec::with_capacity(self.batch_max);
        loop {
            match self.receive(&mut batch).await {
                Received::Writes => {
                    tokio::time::sleep(pause()).await;
                    self.take(&mut batch);
                }
                Received::Idle => self.checkpoint(),
                Received::Closed => return,
            }
        }
    }

    /// Waits for writes; not for ever while the journal holds something.
    async fn receive(&mut self, batch: &mut Vec<Command>) -> Received {
        let receiving = self.queue.recv_many(batch, self.batch_max);
        let received = if self.journal.is_used() {
            tokio::time::timeout(self.checkpoint_when_idle, receiving).await
        } else {
            Ok(receiving.await)
        };
        match received {
            Ok(0) => Received::Closed,
            Ok(_) => Received::Writes,
            Err(_) => Received::Idle,
        }
    }

    fn take(&mut self, batch: &mut Vec<Command>) {
        self.metrics.queue_depth.dec_by(i64::try_from(batch.len()).unwrap_or(i64::MAX));
        let space = self.reserve.space();
        if space != Space::Kept {
            self.refuse(batch, |command| space == Space::Spent || command.growth == Growth::Grows);
        }
        if !batch.is_empty() {
            self.commit(batch);
        }
    }

    fn refuse(&self, batch: &mut Vec<Command>, which: impl Fn(&Command) -> bool) {
        for command in batch.extract_if(.., |command| which(command)) {
            self.metrics.full.inc();
            command.job.finish(Err(Refusal::Full(FULL_RETRY_AFTER)));
        }
    }

    /// Writes the batch as one transaction and answers it.
    fn commit(&mut self, batch: &mut Vec<Command>) {
        let (writes, events) = (batch.len(), tracing::field::Empty);
        let span = traces::below(
            batch.iter().map(|command| &command.span),
            |parent| tracing::debug_span!(target: traces::TRACE, parent: parent, "store.commit", writes, events),
        );
        let outcome = span.in_scope(|| self.write(batch));
        drop(span);
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

    fn write(&mut self, batch: &mut [Command]) -> Result<(), redb::Error> {
        let database = self.shared.database().ok_or(redb::Error::DatabaseClosed)?;
        let started = Instant::now();
        let inner = database.begin_write()?;
        let mut transaction = Transaction::new(&inner, &mut self.rows);
        for command in batch {
            transaction.run(|transaction| command.job.apply(transaction))?;
        }
        let (is_changed, events) = (transaction.is_changed(), transaction.events);
        let rows_are_all = transaction.rows_are_all();
        drop(transaction);
        if !is_changed {
            return Ok(inner.abort()?);
        }
        if rows_are_all && self.journal.has_room(&self.rows) {
            self.commit_to_journal(inner)?;
        } else {
            self.commit_to_file(inner)?;
        }
        tracing::Span::current().record("events", events);
        self.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
        if events > 0 {
            self.metrics.commit_events.observe(events as f64);
        }
        Ok(())
    }

    /// On disk first, then in the store, where readers see it. If the second fails, whoever waits is told
    /// that the outcome is unknown, and opening again puts it there.
    fn commit_to_journal(&mut self, mut transaction: WriteTransaction) -> Result<(), redb::Error> {
        transaction.set_durability(Durability::None)?;
        if !plant::is(Bug::AckBeforeWrite) {
            self.journal.append(&mut self.rows)?;
        }
        Ok(transaction.commit()?)
    }

    /// Commits to the store's file, and with it everything that the journal held.
    fn commit_to_file(&mut self, mut transaction: WriteTransaction) -> Result<(), redb::Error> {
        // A reopen after SIGKILL then takes milliseconds instead of a walk over the file.
        transaction.set_quick_repair(true);
        let name = self.journal.next_name()?;
        if let Some(name) = name {
            transaction.open_table(META)?.insert(JOURNAL_KEY, name)?;
        }
        transaction.commit()?;
        if self.journal.is_used() {
            self.metrics.checkpoints.inc();
        }
        if let Some(name) = name {
            self.journal.begin(name);
        }
        Ok(())
    }

    /// Takes what the journal holds into the store's file.
    fn checkpoint(&mut self) {
        let database = self.shared.database().ok_or(redb::Error::DatabaseClosed);
        let begun = database.and_then(|database| Ok(database.begin_write()?));
        if let Err(error) = begun.and_then(|transaction| self.commit_to_file(transaction)) {
            tracing::error!(error = %error, "could not take the journal into the store: opening it again");
            self.reopen();
        }
    }

    /// redb refuses everything after an error of input or output until it is opened again (rule 35).
    fn reopen(&mut self) {
        self.shared.replace(None);
        #[cfg(feature = "planted-bugs")]
        if self.is_simulated {
            return;
        }
        let mut wait = REOPEN_WAIT_MIN;
        loop {
            self.refuse_for(wait);
            match open_existing(&self.file, Duration::ZERO) {
                Ok((database, journal)) => {
                    self.journal = journal;
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
