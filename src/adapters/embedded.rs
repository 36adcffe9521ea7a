//! The store of a single node: a file and its journal, written by one thread, durable before anybody is told.
//!
//! [`EmbeddedStore`] stands behind all four stores' ports at once, so that the directory is written in the
//! transaction that adds the event it derives from.
//!
//! - The way in: `queue` (bounded) -> `writer` (one thread; everything that waits becomes one transaction)
//!   -> `append`, `project`, `users`, `settings` (what a write does inside the transaction) -> `journal` (messages: one
//!   write, one sync) or the file (anything else) -> the answer.
//! - The way out: `readers` (a few threads) -> `history`, `directory`, `search`, on snapshots that no write
//!   disturbs.
//! - The file: `tables` (what stands where), `meta` (its format), `open` and `file` (lock, fail-stop).
//! - Beside it: `sweep` forgets idempotency keys, `backup` copies the store while it serves, `restore` puts
//!   such a copy in place, `inspect` looks and touches nothing.
//! - For tests alone: `simulated` is a disk that loses what was not synced, and a store on it without threads.

mod append;
mod backup;
mod command;
mod copy;
mod credentials;
mod directory;
mod error;
mod file;
mod history;
mod inspect;
mod journal;
mod meta;
mod metrics;
mod open;
mod project;
mod queue;
mod readers;
mod restore;
mod room_log;
mod search;
mod settings;
mod shared;
#[cfg(feature = "planted-bugs")]
mod simulated;
mod space;
mod sweep;
mod tables;
mod transaction;
mod users;
mod worker_leases;
mod writer;

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use bobchat_actors::ports::{Clock, Unavailable};
use prometheus_client::registry::Registry;
use redb::{ReadTransaction, ReadableDatabase as _};

use command::{Growth, Refusal};
pub use copy::{BackupError, BackupReport};
pub use error::OpenError;
use file::{FILE_NAME, FileOptions};
pub use inspect::{StoreFacts, inspect};
use journal::{JOURNAL_NAME, Rows};
use metrics::Metrics;
use queue::Queue;
use readers::Readers;
pub use restore::restore;
use shared::Shared;
#[cfg(feature = "planted-bugs")]
pub use simulated::SimulatedDisk;
use space::Reserve;
use sweep::Sweeper;
use transaction::Transaction;
use writer::Writer;

/// What an operator sets about the store.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddedOptions {
    /// Memory for pages of the file.
    pub cache_bytes: usize,
    /// Space on the disk that writes leave free: below it they are refused.
    pub reserve_bytes: u64,
    /// Writes of one commit at most. More waits a little longer for the first of them and syncs less often.
    pub commit_batch_max: usize,
    /// After this long without a write, what the journal holds is taken into the store's file: nobody waits
    /// then, and a start after a kill has nothing to replay.
    pub checkpoint_when_idle: Duration,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            reserve_bytes: 64 << 20,
            commit_batch_max: 1024,
            checkpoint_when_idle: Duration::from_secs(1),
        }
    }
}

/// All four stores of a single node, in the files `bobchat.redb` and `bobchat.journal` of a data folder.
///
/// A write is answered when it is synced to disk. When a sync fails the process ends, for what is on disk
/// is then unknown until it starts again. A full disk is survived: writes are refused while less than the
/// reserve is left, and if one fails all the same, the file is opened again until it works.
///
/// Dropping it waits until everything in the queue is written, and closes the files.
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    readers: Readers,
    /// `None` only while dropping.
    queue: Option<Queue>,
    writer: Option<JoinHandle<()>>,
    /// Dropped, it stops the sweeper.
    stop_sweeper: Option<mpsc::Sender<()>>,
    sweeper: Option<JoinHandle<()>>,
}

impl EmbeddedStore {
    /// Opens the store of a data folder, and makes what is missing. Waits a few seconds for a predecessor
    /// to let go of it.
    ///
    /// # Errors
    /// [`OpenError`]: a line for the operator each.
    pub fn open(
        folder: &Path,
        options: EmbeddedOptions,
        clock: Arc<dyn Clock>,
        registry: &mut Registry,
    ) -> Result<Arc<Self>, OpenError> {
        let metrics = Metrics::register(registry);
        let file = FileOptions {
            file: folder.join(FILE_NAME),
            journal: folder.join(JOURNAL_NAME),
            cache_bytes: options.cache_bytes,
            fsyncs: metrics.fsyncs.clone(),
        };
        let (database, journal) = open::open(folder, &file)?;
        let shared = Arc::new(Shared::new(database));
        let (queue, commands) = Queue::new(metrics.clone());
        let writer = Writer {
            shared: Arc::clone(&shared),
            queue: commands,
            batch_max: options.commit_batch_max.max(1),
            checkpoint_when_idle: options.checkpoint_when_idle,
            file,
            journal,
            rows: Rows::default(),
            reserve: Reserve { folder: folder.to_owned(), bytes: options.reserve_bytes },
            metrics: metrics.clone(),
            #[cfg(feature = "planted-bugs")]
            is_simulated: false,
        };
        let (stop_sweeper, stop) = mpsc::channel();
        let sweeper = Sweeper {
            shared: Arc::clone(&shared),
            queue: queue.clone(),
            clock: Arc::clone(&clock),
            metrics: metrics.clone(),
            stop,
            cursor: Vec::new(),
        };
        Ok(Arc::new(Self {
            shared,
            clock,
            readers: Readers::start(metrics)?,
            queue: Some(queue),
            writer: Some(writer.spawn()?),
            stop_sweeper: Some(stop_sweeper),
            sweeper: Some(sweeper.spawn()?),
        }))
    }

    /// Has `work` done in the next transaction; on return it is on disk.
    async fn write<T: Send + 'static>(
        &self,
        growth: Growth,
        bytes: usize,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, Refusal> {
        let closed = || Refusal::Unknown(Unavailable::new("the store is closed"));
        let answer = self.queue.as_ref().ok_or_else(closed)?.submit(growth, bytes, work)?;
        answer.await.map_err(|_| closed())?
    }

    /// Runs `work` on what is committed now.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let shared = Arc::clone(&self.shared);
        let read = move || {
            let database = shared.database().ok_or(redb::Error::DatabaseClosed)?;
            work(&database.begin_read()?)
        };
        self.readers.run(move || read().map_err(Unavailable::new)).await
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.stop_sweeper = None;
        let sweeper = self.sweeper.take().map(JoinHandle::join);
        self.queue = None;
        let writer = self.writer.take().map(JoinHandle::join);
        // A thread that panicked has shown it already.
        drop((sweeper, writer));
    }
}
