//! The store's numbers about itself, and whether this version may read the file at all.

use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableHandle as _};

use super::OpenError;
use super::tables::{self, META, SETTINGS};

/// The version of the file's format that this version writes. A change that an older version would
/// misread raises it.
///
/// - 1: everything is in this one file.
/// - 2: beside it stands a journal, which has what came last.
pub(super) const FORMAT: u64 = 2;

/// Under which name the format stands.
pub(super) const FORMAT_KEY: &str = "format";
/// Up to which time identifiers are leased, in microseconds.
pub(super) const IDS_UNTIL_KEY: &str = "ids_reserved_until";
/// Who leased them, in two halves; missing in stores that an older version made.
pub(super) const IDS_HOLDER_KEYS: [&str; 2] = ["ids_holder_high", "ids_holder_low"];
/// When the file was made as a backup, in microseconds; only in backups.
pub(super) const BACKUP_KEY: &str = "backup_at";
/// Which run of the journal belongs to this state of the store: see [`super::journal`].
pub(super) const JOURNAL_KEY: &str = "journal";

/// Checks that the file is a store of a known format, and says which.
pub(super) fn check(database: &impl ReadableDatabase, file: &Path) -> Result<u64, OpenError> {
    let damaged = |source| OpenError::Damaged { file: file.to_owned(), source: Box::new(source) };
    match format(database).map_err(damaged)? {
        Format::Known(found) => Ok(found),
        Format::Newer(found) => Err(OpenError::NewerFormat { file: file.to_owned(), found, known: FORMAT }),
        Format::Foreign => Err(OpenError::Foreign(file.to_owned())),
    }
}

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Known(u64),
    Newer(u64),
    /// A redb file without our mark.
    Foreign,
}

/// Finds out whose file it is.
pub(super) fn format(database: &impl ReadableDatabase) -> Result<Format, redb::Error> {
    let transaction = database.begin_read()?;
    if !transaction.list_tables()?.any(|table| table.name() == META.name()) {
        return Ok(Format::Foreign);
    }
    let meta = transaction.open_table(META)?;
    Ok(match number(&meta, FORMAT_KEY)? {
        None => Format::Foreign,
        Some(found) if found > FORMAT => Format::Newer(found),
        Some(found) => Format::Known(found),
    })
}

/// Whether a store is a backup.
pub(super) fn is_backup(database: &impl ReadableDatabase) -> Result<bool, redb::Error> {
    Ok(number(&database.begin_read()?.open_table(META)?, BACKUP_KEY)?.is_some())
}

/// The run of the journal that belongs to the store.
pub(super) fn journal(database: &impl ReadableDatabase) -> Result<Option<u64>, redb::Error> {
    number(&database.begin_read()?.open_table(META)?, JOURNAL_KEY)
}

/// Says in a store of an older format that it has this one's, before anything is written that an older
/// version would not find, and makes the tables that it lacks.
pub(super) fn upgrade(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_read()?;
    let is_current = number(&transaction.open_table(META)?, FORMAT_KEY)? == Some(FORMAT);
    // The table that came last: whoever has it has all.
    if is_current && transaction.list_tables()?.any(|table| table.name() == SETTINGS.name()) {
        return Ok(());
    }
    drop(transaction);
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    tables::create(&transaction)?;
    transaction.open_table(META)?.insert(FORMAT_KEY, FORMAT)?;
    Ok(transaction.commit()?)
}

/// Makes an empty database a store.
pub(super) fn initialize(database: &Database) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    tables::create(&transaction)?;
    transaction.open_table(META)?.insert(FORMAT_KEY, FORMAT)?;
    transaction.commit()?;
    Ok(())
}

pub(super) fn number(meta: &impl ReadableTable<&'static str, u64>, key: &str) -> Result<Option<u64>, redb::Error> {
    Ok(meta.get(key)?.map(|number| number.value()))
}
