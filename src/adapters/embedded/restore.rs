//! Putting a backup in place.

use std::fs::File;
use std::io;
use std::path::Path;

use bobchat_proto::record;
use prost::Message as _;
use redb::{Builder, Database, ReadableTable as _};

use super::copy::{BackupError, BackupReport, finish, io_error, mark, open_copy, refuse_existing, report, sized};
use super::file::{FILE_NAME, create_private, has_magic, make_folder};
use super::journal::JOURNAL_NAME;
use super::meta::{self, Format};
use super::tables::{HEADS, SPANS, decode};

/// Puts a backup in place as the store of a data folder that has none. Durable on return.
///
/// Every room gets a new epoch: clients may have seen events that the backup does not have, and what
/// follows now must not be mistaken for them. The epoch is the time of the restore, so that restoring one
/// backup twice gives two epochs (log protocol, rule 36).
///
/// # Errors
/// [`BackupError`]; the folder is left as it was.
pub fn restore(backup: &Path, folder: &Path, now_micros: i64) -> Result<BackupReport, BackupError> {
    check(backup)?;
    make_folder(folder)?;
    let file = folder.join(FILE_NAME);
    refuse_existing(&file)?;
    // Of a store that was moved away without it: it may have what that store has not.
    refuse_existing(&folder.join(JOURNAL_NAME))?;
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

fn check(backup: &Path) -> Result<(), BackupError> {
    let file = File::open(backup).map_err(|source| io_error(backup, source))?;
    if !has_magic(&file).map_err(|source| io_error(backup, source))? {
        return Err(BackupError::NotABackup(backup.to_owned()));
    }
    let damaged = |error: redb::Error| BackupError::Damaged { file: backup.to_owned(), cause: error.to_string() };
    let database = Builder::new().open_read_only(backup).map_err(|error| damaged(error.into()))?;
    match meta::format(&database).map_err(damaged)? {
        Format::Newer(found) => Err(BackupError::NewerFormat { file: backup.to_owned(), found }),
        Format::Known(_) if meta::is_backup(&database).map_err(damaged)? => Ok(()),
        Format::Known(_) | Format::Foreign => Err(BackupError::NotABackup(backup.to_owned())),
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
