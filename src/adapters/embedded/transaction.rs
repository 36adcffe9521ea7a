use std::cell::Cell;

use bobchat_proto::{record, wire};
use redb::{ReadableTable as _, Table, TableDefinition, WriteTransaction};

use super::journal::{Row, Rows};
use super::tables::{self, decode, decode_event, get};

/// The open write transaction of one commit, shared by all writes of the batch.
///
/// The tables that nearly every write touches are opened once for all of them; a write opens the others
/// itself. What an append of messages puts is also kept as rows for the journal: a commit of nothing else
/// is durable by them. Any other way to write says by itself that the rows are not all.
pub(super) struct Transaction<'t> {
    inner: &'t WriteTransaction,
    log: Option<Box<LogTables<'t>>>,
    rows: &'t mut Rows,
    rows_are_all: Cell<bool>,
    /// Events added so far.
    pub(super) events: u64,
    changed: bool,
    unchanged_by_this_write: bool,
    /// Where records are encoded, kept for its capacity.
    pub(super) buffer: Vec<u8>,
}

type Records<'t, K> = Table<'t, K, &'static [u8]>;

/// The tables of rooms' logs. Nobody but the transaction writes to them: see its methods.
struct LogTables<'t> {
    heads: Records<'t, u64>,
    messages: Records<'t, (u64, u64)>,
    changes: Records<'t, (u64, u64)>,
    keys: Records<'t, &'static [u8]>,
}

impl<'t> Transaction<'t> {
    /// A batch that begins, with a buffer for its rows.
    pub(super) fn new(inner: &'t WriteTransaction, rows: &'t mut Rows) -> Self {
        rows.clear();
        Self {
            inner,
            log: None,
            rows,
            rows_are_all: Cell::new(true),
            events: 0,
            changed: false,
            unchanged_by_this_write: false,
            buffer: Vec::new(),
        }
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

    /// Whether the rows say all that was written.
    pub(super) fn rows_are_all(&self) -> bool {
        self.rows_are_all.get()
    }

    pub(super) fn head(&mut self, room: u64) -> Result<Option<record::Head>, redb::Error> {
        get(&self.log()?.heads, room)
    }

    /// An event of any kind.
    pub(super) fn event(&mut self, room: u64, seq: u64) -> Result<Option<wire::Event>, redb::Error> {
        let log = self.log()?;
        let stored = match log.messages.get((room, seq))? {
            Some(message) => Some(message),
            None => log.changes.get((room, seq))?,
        };
        stored.map(|stored| decode_event(room, seq, stored.value())).transpose()
    }

    pub(super) fn put_head(&mut self, room: u64, head: &[u8]) -> Result<(), redb::Error> {
        self.log()?.heads.insert(room, head)?;
        self.rows.push(Row::Head(room, head));
        Ok(())
    }

    pub(super) fn put_message(&mut self, room: u64, seq: u64, message: &[u8]) -> Result<(), redb::Error> {
        self.log()?.messages.insert((room, seq), message)?;
        self.rows.push(Row::Message(room, seq, message));
        Ok(())
    }

    /// Notes what a key is used for; returns what it was used for before.
    pub(super) fn put_key(&mut self, key: &[u8], used: &[u8]) -> Result<Option<record::Key>, redb::Error> {
        let before = self.log()?.keys.insert(key, used)?;
        let before = before.map(|before| decode(before.value())).transpose()?;
        self.rows.push(Row::Key(key, used));
        Ok(before)
    }

    /// Adds an event that is no message. The directory derives from it what is in no row.
    pub(super) fn put_change(&mut self, room: u64, seq: u64, change: &[u8]) -> Result<(), redb::Error> {
        self.rows_are_all.set(false);
        self.log()?.changes.insert((room, seq), change)?;
        Ok(())
    }

    /// The keys, for forgetting some.
    pub(super) fn keys_mut(&mut self) -> Result<&mut Table<'t, &'static [u8], &'static [u8]>, redb::Error> {
        self.rows_are_all.set(false);
        Ok(&mut self.log()?.keys)
    }

    /// Opens a table that is not of the log.
    pub(super) fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<Table<'t, K, V>, redb::Error> {
        self.rows_are_all.set(false);
        Ok(self.inner.open_table(definition)?)
    }

    fn log(&mut self) -> Result<&mut LogTables<'t>, redb::Error> {
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
}
