use redb::{Table, TableDefinition, WriteTransaction};

use super::tables;

/// The open write transaction of one commit, shared by all writes of the batch.
///
/// The tables that nearly every write touches are opened once for all of them; a write opens the others
/// itself.
pub(super) struct Transaction<'t> {
    inner: &'t WriteTransaction,
    log: Option<Box<LogTables<'t>>>,
    /// Events added so far.
    pub(super) events: u64,
    changed: bool,
    unchanged_by_this_write: bool,
    /// Where records are encoded, kept for its capacity.
    pub(super) buffer: Vec<u8>,
}

/// The tables of rooms' logs.
pub(super) struct LogTables<'t> {
    pub(super) heads: Table<'t, u64, &'static [u8]>,
    pub(super) messages: Table<'t, (u64, u64), &'static [u8]>,
    pub(super) changes: Table<'t, (u64, u64), &'static [u8]>,
    pub(super) keys: Table<'t, &'static [u8], &'static [u8]>,
}

impl<'t> Transaction<'t> {
    pub(super) fn new(inner: &'t WriteTransaction) -> Self {
        Self { inner, log: None, events: 0, changed: false, unchanged_by_this_write: false, buffer: Vec::new() }
    }

    /// Runs one write of the batch.
    pub(super) fn run(&mut self, write: impl FnOnce(&mut Self) -> Result<(), redb::Error>) -> Result<(), redb::Error> {
        self.unchanged_by_this_write = false;
        write(self)?;
        self.changed |= !self.unchanged_by_this_write;
        Ok(())
    }

    /// Said by a write that changed nothing: a batch of nothing else needs no commit.
    pub(super) fn unchanged(&mut self) {
        self.unchanged_by_this_write = true;
    }

    /// Whether there is anything to commit.
    pub(super) fn is_changed(&self) -> bool {
        self.changed
    }

    pub(super) fn log(&mut self) -> Result<&mut LogTables<'t>, redb::Error> {
        let tables = match self.log.take() {
            Some(tables) => tables,
            None => Box::new(LogTables {
                heads: self.inner.open_table(tables::HEADS)?,
                messages: self.inner.open_table(tables::MESSAGES)?,
                changes: self.inner.open_table(tables::CHANGES)?,
                keys: self.inner.open_table(tables::KEYS)?,
            }),
        };
        Ok(self.log.insert(tables))
    }

    /// Opens a table that [`Self::log`] does not hold.
    pub(super) fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<Table<'t, K, V>, redb::Error> {
        Ok(self.inner.open_table(definition)?)
    }
}
