//! Opening a store: the folder, the file, the lock, the format, the journal.

use std::path::Path;
use std::time::Duration;

use redb::Database;

use super::OpenError;
use super::file::{FileOptions, LOCK_PATIENCE, create_private, make_folder, publish, unfinished};
use super::journal::{self, Journal};
use super::meta;

/// Opens the store of a data folder, and makes what is missing.
pub(super) fn open(folder: &Path, options: &FileOptions) -> Result<(Database, Journal), OpenError> {
    make_folder(folder)?;
    if !options.file.exists() {
        create(folder, options)?;
    }
    open_existing(options, LOCK_PATIENCE)
}

/// Opens a store that is there, and puts into it what its journal holds. Waits `patience` for another holder.
pub(super) fn open_existing(options: &FileOptions, patience: Duration) -> Result<(Database, Journal), OpenError> {
    let database = options.open(patience)?;
    meta::check(&database, &options.file)?;
    let damaged = |source| OpenError::Damaged { file: options.file.clone(), source: Box::new(source) };
    meta::upgrade(&database).map_err(damaged)?;
    let journal = Journal::open(&options.journal, options.fsyncs.clone())?;
    journal::replay(&database, &journal)?;
    Ok((database, journal))
}

/// Makes an empty store beside its place and gives it its name when it is whole: a process that dies in
/// between leaves nothing that a later start would stumble over.
fn create(folder: &Path, options: &FileOptions) -> Result<(), OpenError> {
    let failed = |source| OpenError::Folder { folder: folder.to_owned(), source };
    let unfinished = unfinished(&options.file);
    let file = create_private(&unfinished).map_err(failed)?;
    let database = options.open_file(file)?;
    let damaged = |source| OpenError::Damaged { file: unfinished.clone(), source: Box::new(source) };
    meta::initialize(&database).map_err(damaged)?;
    drop(database);
    publish(&unfinished, &options.file).or_else(|error| {
        let _ = std::fs::remove_file(&unfinished);
        // Another process was first: its store is as empty as ours.
        if options.file.exists() { Ok(()) } else { Err(failed(error)) }
    })
}
