//! Copying the store while it serves.

use std::path::Path;

use redb::{Database, Key, ReadTransaction, ReadableDatabase as _, ReadableTable as _, TableDefinition, Value};

use super::EmbeddedStore;
use super::copy::{BackupError, BackupReport, finish, io_error, mark, open_copy, refuse_existing, report, sized};
use super::file::create_private;
use super::tables::for_each_table;

/// Rows of one transaction of a copy: some MiB of pages that are not yet synced.
const ROWS_PER_COMMIT: usize = 16 * 1024;

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
