//! Looking at a data folder without touching it.

use std::fs::File;
use std::path::Path;

use redb::{DatabaseError, ReadOnlyDatabase};

use super::OpenError;
use super::file::{FILE_NAME, has_magic};
use super::meta;

/// What stands in a data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFacts {
    /// No store yet.
    Missing,
    /// A store that a server uses.
    InUse,
    /// A store whose server was killed: the next one mends it.
    Unfinished,
    /// A store of this format.
    Format(u64),
}

/// Looks at the store of a data folder.
///
/// # Errors
/// [`OpenError`]: why a server would not open it.
pub fn inspect(folder: &Path) -> Result<StoreFacts, OpenError> {
    let file = folder.join(FILE_NAME);
    let failed = |source| OpenError::File { file: file.clone(), source };
    let is_ours = match File::open(&file).and_then(|file| has_magic(&file)) {
        Ok(is_ours) => is_ours,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(StoreFacts::Missing),
        Err(error) => return Err(failed(error)),
    };
    if !is_ours {
        return Err(OpenError::Foreign(file));
    }
    let damaged = |source: redb::Error| OpenError::Damaged { file: file.clone(), source: Box::new(source) };
    match ReadOnlyDatabase::open(&file) {
        Ok(database) => meta::check(&database, &file).map(StoreFacts::Format),
        Err(DatabaseError::DatabaseAlreadyOpen) => Ok(StoreFacts::InUse),
        Err(DatabaseError::RepairAborted) => Ok(StoreFacts::Unfinished),
        Err(error) => Err(damaged(error.into())),
    }
}
