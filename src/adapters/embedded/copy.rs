//! What backup and restore share: files that are whole when they get their name, and what is said of them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase as _, ReadableTableMetadata as _};

use super::OpenError;
use super::file::{publish, unfinished};
use super::meta::{BACKUP_KEY, FORMAT, JOURNAL_KEY};
use super::tables::{CHANGES, MESSAGES, META, ROOMS};

/// Memory for pages of a copy: it is written from end to end, so more would not help.
const CACHE_BYTES: usize = 16 << 20;

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupReport {
    /// Rooms.
    pub rooms: u64,
    /// Events of all kinds.
    pub events: u64,
    /// The size of the file.
    pub bytes: u64,
}

/// Why there is no backup, or none was restored. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is a file in the place where one is to be made.
    #[error("{} exists already: nothing was overwritten", .0.display())]
    Exists(PathBuf),
    /// The file is not a backup of this store.
    #[error("{} is not a backup that `bobchat backup` made", .0.display())]
    NotABackup(PathBuf),
    /// The file was made by a newer version.
    #[error("{} has format {found}, this version reads up to format {FORMAT}: use a newer bobchat", file.display())]
    NewerFormat {
        /// The backup.
        file: PathBuf,
        /// The format that it has.
        found: u64,
    },
    /// The file was changed since it was made.
    #[error("{} is damaged: {cause}", file.display())]
    Damaged {
        /// The backup.
        file: PathBuf,
        /// What was found.
        cause: String,
    },
    /// A file or folder could not be used.
    #[error("could not use {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The copy could not be read or written.
    #[error("could not copy the store: {0}")]
    Copy(Box<redb::Error>),
    /// The data folder could not be used.
    #[error(transparent)]
    Folder(#[from] OpenError),
}

impl From<redb::Error> for BackupError {
    fn from(error: redb::Error) -> Self {
        Self::Copy(Box::new(error))
    }
}

/// Makes a file whole beside its place, then gives it its name; or removes it.
pub(super) fn finish<T>(file: &Path, make: impl FnOnce(&Path) -> Result<T, BackupError>) -> Result<T, BackupError> {
    let unfinished = unfinished(file);
    let made = make(&unfinished).and_then(|made| match publish(&unfinished, file) {
        Ok(()) => Ok(made),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(BackupError::Exists(file.to_owned())),
        Err(error) => Err(io_error(file, error)),
    });
    if made.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    made
}

/// Unlike the store's own file, a copy that cannot be synced ends nothing but the copying.
pub(super) fn open_copy(file: File) -> Result<Database, redb::Error> {
    Ok(Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(FileBackend::new(file)?)?)
}

/// Says in the file whether it is a backup, and of when; and that no journal belongs to it, for it has all
/// that the store's journal had.
pub(super) fn mark(copy: &Database, made_at: Option<i64>) -> Result<(), redb::Error> {
    let transaction = copy.begin_write()?;
    let mut meta = transaction.open_table(META)?;
    match made_at {
        Some(at) => drop(meta.insert(BACKUP_KEY, at.cast_unsigned())?),
        None => drop(meta.remove(BACKUP_KEY)?),
    }
    meta.remove(JOURNAL_KEY)?;
    drop(meta);
    Ok(transaction.commit()?)
}

pub(super) fn report(copy: &Database) -> Result<BackupReport, redb::Error> {
    let snapshot = copy.begin_read()?;
    let events = snapshot.open_table(MESSAGES)?.len()?.saturating_add(snapshot.open_table(CHANGES)?.len()?);
    Ok(BackupReport { rooms: snapshot.open_table(ROOMS)?.len()?, events, bytes: 0 })
}

pub(super) fn sized(report: BackupReport, file: &Path) -> Result<BackupReport, BackupError> {
    let bytes = fs::metadata(file).map_err(|source| io_error(file, source))?.len();
    Ok(BackupReport { bytes, ..report })
}

pub(super) fn refuse_existing(file: &Path) -> Result<(), BackupError> {
    match file.symlink_metadata() {
        Ok(_) => Err(BackupError::Exists(file.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error(file, error)),
    }
}

pub(super) fn io_error(path: &Path, source: io::Error) -> BackupError {
    BackupError::Io { path: path.to_owned(), source }
}
