//! Forgetting idempotency keys that no longer count: a little in idle moments, round and round.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bobchat_actors::ports::Clock;
use bobchat_actors::ports::projection::is_honoured;
use bobchat_proto::record;
use redb::{ReadableDatabase as _, ReadableTable as _};

use super::OpenError;
use super::command::Growth;
use super::metrics::Metrics;
use super::queue::Queue;
use super::shared::Shared;
use super::tables::{KEYS, decode};
use super::transaction::Transaction;

/// Keys looked at in one step: some 10 pages of the file.
const KEYS_PER_STEP: usize = 512;

/// Between steps. 256 keys a second keep up with 20 million messages a day.
const STEP_EVERY: Duration = Duration::from_secs(2);

/// Between steps while many keys are found to be forgotten.
const STEP_EVERY_WHEN_BEHIND: Duration = Duration::from_millis(50);

/// What the sweeping thread works with. It ends when `stop` is dropped at its other end.
pub(super) struct Sweeper {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Queue,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Metrics,
    pub(super) stop: Receiver<()>,
    /// The last key looked at; empty at the beginning of a round.
    pub(super) cursor: Vec<u8>,
}

impl Sweeper {
    pub(super) fn spawn(mut self) -> Result<JoinHandle<()>, OpenError> {
        let sweep = move || {
            let mut wait = STEP_EVERY;
            while self.stop.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                wait = self.step();
            }
        };
        thread::Builder::new().name("store-sweeper".to_owned()).spawn(sweep).map_err(OpenError::Thread)
    }

    /// Looks at the next keys, and returns when to look at more.
    fn step(&mut self) -> Duration {
        if !self.queue.is_idle() {
            return STEP_EVERY;
        }
        let Ok(forgotten) = self.look() else {
            // After an error of input or output redb refuses every read until the file is opened again: an
            // empty write makes the writer see it, also when nobody writes.
            drop(self.queue.submit(Growth::Keeps, 0, |_| Ok(())));
            return STEP_EVERY;
        };
        if forgotten.is_empty() {
            return STEP_EVERY;
        }
        let (found, metrics, now) = (forgotten.len(), self.metrics.clone(), self.clock.now_micros());
        let work = move |transaction: &mut Transaction<'_>| {
            metrics.keys_swept.inc_by(forget(transaction, &forgotten, now)?);
            Ok(())
        };
        // Nobody waits for it: what is not forgotten now is found again in the next round.
        drop(self.queue.submit(Growth::Keeps, 0, work));
        if found >= KEYS_PER_STEP / 2 { STEP_EVERY_WHEN_BEHIND } else { STEP_EVERY }
    }

    fn look(&mut self) -> Result<Vec<Vec<u8>>, redb::Error> {
        let now = self.clock.now_micros();
        let database = self.shared.database().ok_or(redb::Error::DatabaseClosed)?;
        let keys = database.begin_read()?.open_table(KEYS)?;
        let (mut looked, mut last, mut forgotten) = (0, Vec::new(), Vec::new());
        for row in keys.range(self.cursor.as_slice()..)?.take(KEYS_PER_STEP) {
            let (key, value) = row?;
            looked += 1;
            last = key.value().to_owned();
            if !is_honoured(&decode(value.value())?, now) {
                forgotten.push(last.clone());
            }
        }
        self.cursor = if looked < KEYS_PER_STEP { Vec::new() } else { last };
        Ok(forgotten)
    }
}

/// Removes those keys that were not used again meanwhile.
fn forget(transaction: &mut Transaction<'_>, keys: &[Vec<u8>], now_micros: i64) -> Result<u64, redb::Error> {
    let table = transaction.keys_mut()?;
    let mut removed = 0;
    for key in keys {
        let used: Option<record::Key> = table.get(key.as_slice())?.map(|used| decode(used.value())).transpose()?;
        if used.is_some_and(|used| !is_honoured(&used, now_micros)) {
            table.remove(key.as_slice())?;
            removed += 1;
        }
    }
    Ok(removed)
}
