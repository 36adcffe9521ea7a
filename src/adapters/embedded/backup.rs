//! Copying the store while it serves, and putting a copy in place.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use prost::Message as _;
use redb::backends::FileBackend;
use redb::{
    Builder, Database, Key, ReadTransaction, ReadableDatabase as _, ReadableTable as _, TableDefinition, Value,
};

use super::file::{FILE_NAME, create_private, has_magic, make_folder, publish, unfinished};
use super::meta::{self, BACKUP_KEY, FORMAT, Format};
use super::tables::{CHANGES, HEADS, MESSAGES, META, ROOMS, SPANS, decode, for_each_table};
use super::{EmbeddedStore, OpenError};
use bobchat_proto::record;

/// Memory for pages of a copy: it is written from end to end, so more would not help.
const CACHE_BYTES: usize = 16 << 20;

/// Rows of one transaction of a copy: some MiB of pages that are not yet synced.
const ROWS_PER_COMMIT: usize = 16 * 1024;

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

impl EmbeddedStore {
    /// Copies the store as it is now into a new file, while it goes on serving. Durable on return.
    ///
    /// Blocks for as long as reading and writing the whole store takes: call it from a thread of its own.
    /// Until it is done, the store's file keeps the pages that are replaced meanwhile, and grows by them.
    ///
    /// # Errors
    /// [`BackupError`]; no file is left behind.
    pub fn backup(&self, to: &Path) -> Result<BackupReport, BackupError> {
        refuse_existing(to)?;
        let database = self.shared.database().ok_or(redb::Error::DatabaseClosed)?;
        let snapshot = database.begin_read().map_err(redb::Error::from)?;
        let made_at = self.clock.now_micros();
        finish(to, |unfinished| {
            let copy = open_copy(create_private(unfinished).map_err(|source| io_error(unfinished, source))?)?;
            copy_tables(&snapshot, &copy)?;
            mark(&copy, Some(made_at))?;
            Ok(report(&copy)?)
        })
        .and_then(|report| sized(report, to))
    }
}

/// Puts a backup in place as the store of a data folder that has none. Durable on return.
///
/// Every room gets a new epoch: clients may have seen events that the backup does not have, and what
/// follows now must not be mistaken for them. The epoch is the time of the restore, so that restoring one
/// backup twice gives two epochs.
///
/// # Errors
/// [`BackupError`]; the folder is left as it was.
pub fn restore(backup: &Path, folder: &Path, now_micros: i64) -> Result<BackupReport, BackupError> {
    check(backup)?;
    make_folder(folder)?;
    let file = folder.join(FILE_NAME);
    refuse_existing(&file)?;
    finish(&file, |unfinished| {
        let failed = |source| io_error(unfinished, source);
        let mut target = create_private(unfinished).map_err(failed)?;
        let mut source = File::open(backup).map_err(|source| io_error(backup, source))?;
        io::copy(&mut source, &mut target).map_err(failed)?;
        let mut copy = open_copy(target)?;
        verify(&mut copy, backup)?;
        raise_epochs(&copy, now_micros)?;
        mark(&copy, None)?;
        Ok(report(&copy)?)
    })
    .and_then(|report| sized(report, &file))
}

/// Makes a file whole beside its place, then gives it its name; or removes it.
fn finish<T>(file: &Path, make: impl FnOnce(&Path) -> Result<T, BackupError>) -> Result<T, BackupError> {
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
fn open_copy(file: File) -> Result<Database, redb::Error> {
    Ok(Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(FileBackend::new(file)?)?)
}

fn copy_tables(from: &ReadTransaction, to: &Database) -> Result<(), redb::Error> {
    macro_rules! copy {
        ($table:expr) => {
            copy_table(from, to, $table)?
        };
    }
    for_each_table!(copy);
    Ok(())
}

fn copy_table<K: Key + 'static, V: Value + 'static>(
    from: &ReadTransaction,
    to: &Database,
    table: TableDefinition<'static, K, V>,
) -> Result<(), redb::Error> {
    let source = from.open_table(table)?;
    let mut rows = source.iter()?.peekable();
    loop {
        let transaction = to.begin_write()?;
        let mut target = transaction.open_table(table)?;
        for row in rows.by_ref().take(ROWS_PER_COMMIT) {
            let (key, value) = row?;
            target.insert(key.value(), value.value())?;
        }
        drop(target);
        transaction.commit()?;
        if rows.peek().is_none() {
            return Ok(());
        }
    }
}

/// Says in the file whether it is a backup, and of when.
fn mark(copy: &Database, made_at: Option<i64>) -> Result<(), redb::Error> {
    let transaction = copy.begin_write()?;
    let mut meta = transaction.open_table(META)?;
    match made_at {
        Some(at) => drop(meta.insert(BACKUP_KEY, at.cast_unsigned())?),
        None => drop(meta.remove(BACKUP_KEY)?),
    }
    drop(meta);
    Ok(transaction.commit()?)
}

fn check(backup: &Path) -> Result<(), BackupError> {
    let file = File::open(backup).map_err(|source| io_error(backup, source))?;
    if !has_magic(&file).map_err(|source| io_error(backup, source))? {
        return Err(BackupError::NotABackup(backup.to_owned()));
    }
    let damaged = |error: redb::Error| BackupError::Damaged { file: backup.to_owned(), cause: error.to_string() };
    let database = Builder::new().open_read_only(backup).map_err(|error| damaged(error.into()))?;
    match meta::format(&database).map_err(damaged)? {
        Format::Newer(found) => Err(BackupError::NewerFormat { file: backup.to_owned(), found }),
        Format::Known if meta::is_backup(&database).map_err(damaged)? => Ok(()),
        Format::Known | Format::Foreign => Err(BackupError::NotABackup(backup.to_owned())),
    }
}

/// Reads every page of the copy and compares its checksum.
fn verify(copy: &mut Database, backup: &Path) -> Result<(), BackupError> {
    let damaged = |cause: String| BackupError::Damaged { file: backup.to_owned(), cause };
    match copy.check_integrity() {
        Ok(true) => Ok(()),
        Ok(false) => Err(damaged("its checksums do not match".to_owned())),
        Err(error) => Err(damaged(error.to_string())),
    }
}

fn raise_epochs(copy: &Database, now_micros: i64) -> Result<(), redb::Error> {
    let restored_at = now_micros.div_euclid(1_000_000).unsigned_abs();
    let transaction = copy.begin_write()?;
    {
        let (mut heads, mut spans) = (transaction.open_table(HEADS)?, transaction.open_table(SPANS)?);
        let mut rooms = Vec::new();
        for row in heads.iter()? {
            let (room, head) = row?;
            rooms.push((room.value(), decode::<record::Head>(head.value())?));
        }
        for (room, mut head) in rooms {
            head.epoch = restored_at.max(head.epoch.saturating_add(1));
            spans.insert((room, head.epoch), head.seq.saturating_add(1))?;
            heads.insert(room, head.encode_to_vec().as_slice())?;
        }
    }
    Ok(transaction.commit()?)
}

fn report(copy: &Database) -> Result<BackupReport, redb::Error> {
    use redb::ReadableTableMetadata as _;
    let snapshot = copy.begin_read()?;
    let events = snapshot.open_table(MESSAGES)?.len()?.saturating_add(snapshot.open_table(CHANGES)?.len()?);
    Ok(BackupReport { rooms: snapshot.open_table(ROOMS)?.len()?, events, bytes: 0 })
}

fn sized(report: BackupReport, file: &Path) -> Result<BackupReport, BackupError> {
    let bytes = fs::metadata(file).map_err(|source| io_error(file, source))?.len();
    Ok(BackupReport { bytes, ..report })
}

fn refuse_existing(file: &Path) -> Result<(), BackupError> {
    match file.symlink_metadata() {
        Ok(_) => Err(BackupError::Exists(file.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error(file, error)),
    }
}

fn io_error(path: &Path, source: io::Error) -> BackupError {
    BackupError::Io { path: path.to_owned(), source }
}
