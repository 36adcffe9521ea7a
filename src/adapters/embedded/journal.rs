//! The journal: where a commit of nothing but messages becomes durable, by one small write and one sync.
//!
//! Such a commit is made in redb too, but only in memory: "Commits with this durability level will not be
//! persisted to disk unless followed by a commit with `Durability::Immediate`" (redb 4.5,
//! `transactions.rs`). What they put stands in the journal, as rows. The next durable commit, a
//! *checkpoint*, takes all of them into the store's file, and in the same transaction gives the journal a
//! new name in the store: what it held counts no more, and writing begins at its start again. After a
//! crash the rows of the run that the store names are put once more (`replay`), which changes nothing
//! where they are there already.
//!
//! A run's name is a random number, drawn at each checkpoint and at the first commit after each opening.
//! So records count for exactly one state of one store: not for another store, nor for an older copy of
//! the same one, nor for a backup, which has no name in it at all.

mod medium;
mod record;
mod replay;
mod row;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bobchat_actors::plant::{self, Bug};
use prometheus_client::metrics::counter::Counter;

#[cfg(feature = "planted-bugs")]
pub(super) use medium::Medium as JournalMedium;
use medium::{JournalFile, Medium};
pub(super) use record::Rows;
pub(super) use replay::replay;
pub(super) use row::Row;

use super::OpenError;
use super::file::{folder_of, sync_folder};

/// The journal in the data folder.
pub(super) const JOURNAL_NAME: &str = "bobchat.journal";

/// How long the file is, always: a sync then writes data and nothing else, for neither length nor extents
/// change, and a disk that fills up does not take the journal's space. It bounds what is replayed after a
/// crash, and what a checkpoint has to write at once, during which everybody waits. Some 20 000 messages.
const JOURNAL_BYTES: u64 = 8 << 20;

/// Zeros are written in pieces of this size.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// The journal's file, and where the next record goes. Belongs to the writer's thread; whoever has it holds
/// the lock of the store's file.
#[derive(Debug)]
pub(super) struct Journal {
    medium: Box<dyn Medium>,
    path: PathBuf,
    /// Empty until a durable commit has named one.
    run: Option<Run>,
}

/// The records from the start of the file on that the store's name for the journal makes valid.
#[derive(Debug)]
struct Run {
    name: u64,
    /// The number of the next record.
    number: u64,
    /// Where it goes.
    offset: u64,
}

impl Journal {
    /// Opens the journal, or makes it.
    pub(super) fn open(path: &Path, fsyncs: Counter) -> Result<Self, OpenError> {
        let file = open_filled(path).map_err(|source| OpenError::Journal { file: path.to_owned(), source })?;
        Ok(Self::over(Box::new(JournalFile { file, path: path.to_owned(), fsyncs }), path))
    }

    /// The journal on what holds it, named `path` where anything is said of it.
    pub(super) fn over(medium: Box<dyn Medium>, path: &Path) -> Self {
        Self { medium, path: path.to_owned(), run: None }
    }

    /// Whether a record with these rows can be added now.
    pub(super) fn has_room(&self, rows: &Rows) -> bool {
        self.run.as_ref().is_some_and(|run| run.offset.saturating_add(rows.space()) <= JOURNAL_BYTES)
    }

    /// Adds the rows as a record. On disk on return.
    ///
    /// # Errors
    /// Whether they are there is not known: the store must be opened again.
    pub(super) fn append(&mut self, rows: &mut Rows) -> io::Result<()> {
        let run = self.run.as_mut().ok_or_else(|| io::Error::other("the journal has no name yet"))?;
        let record = rows.seal(run.name, run.number);
        self.medium.write_all_at(record, run.offset)?;
        if !plant::is(Bug::AckBeforeFsync) {
            self.medium.sync()?;
        }
        run.offset = run.offset.saturating_add(rows.space());
        run.number = run.number.saturating_add(1);
        Ok(())
    }

    /// Whether it holds anything that the store's file does not.
    pub(super) fn is_used(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.number > 0)
    }

    /// The name that the next durable commit must give it; none if the one it has still does.
    pub(super) fn next_name(&self) -> io::Result<Option<u64>> {
        if self.run.as_ref().is_some_and(|run| run.number == 0) {
            return Ok(None);
        }
        Ok(Some(getrandom::u64()?))
    }

    /// Begins at the start under a name that is durable in the store.
    pub(super) fn begin(&mut self, name: u64) {
        self.run = Some(Run { name, number: 0, offset: 0 });
    }
}

/// Opens the file, which nobody else may read, at its full length. One that is not there is an empty one, and
/// one whose making was cut short is finished; so its name is made durable each time.
fn open_filled(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    fill(&file)?;
    sync_folder(&folder_of(path))?;
    Ok(file)
}

/// Writes zeros up to the full length: space that is merely promised would be allocated by later syncs.
fn fill(file: &File) -> io::Result<()> {
    let mut end = file.metadata()?.len();
    if end >= JOURNAL_BYTES {
        return Ok(());
    }
    while end < JOURNAL_BYTES {
        let missing = usize::try_from(JOURNAL_BYTES.saturating_sub(end)).unwrap_or(ZEROS.len());
        let zeros = ZEROS.get(..missing).unwrap_or(&ZEROS);
        file.write_all_at(zeros, end)?;
        end = end.saturating_add(zeros.len() as u64);
    }
    file.sync_all()
}
