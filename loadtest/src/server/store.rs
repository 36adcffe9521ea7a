//! Bare redb: what durable appends cost by themselves.

use std::path::Path;

use anyhow::Context as _;
use redb::{Database, Durability, TableDefinition};

/// Events by room and seq, as short a table as there can be.
const EVENTS: TableDefinition<'static, (u64, u64), &'static [u8]> = TableDefinition::new("events");

/// A server would set this too; redb's own default is 1 GiB.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// One appended event.
pub(crate) struct Append<'a> {
    pub(crate) room: u64,
    pub(crate) seq: u64,
    pub(crate) bytes: &'a [u8],
}

/// A database with one table.
pub(crate) struct BareStore(Database);

impl BareStore {
    /// Opens or makes the database.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(path);
        Ok(Self(database.with_context(|| format!("could not open {}", path.display()))?))
    }

    /// Appends in one commit with one fsync.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn append<'a>(&self, batch: impl IntoIterator<Item = Append<'a>>) -> anyhow::Result<()> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        // A server needs it to be back at once after a crash, and it costs nothing that can be measured.
        transaction.set_quick_repair(true);
        {
            let mut events = transaction.open_table(EVENTS)?;
            for Append { room, seq, bytes } in batch {
                events.insert((room, seq), bytes)?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use redb::{ReadableDatabase as _, ReadableTableMetadata as _};

    use super::*;

    #[test]
    fn appended_events_are_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("floor.redb");
        for seq in 1..3 {
            let store = BareStore::open(&path).unwrap();
            store.append([Append { room: 1, seq, bytes: b"event" }]).unwrap();
        }
        let store = BareStore::open(&path).unwrap();
        let reading = store.0.begin_read().unwrap();
        let events = reading.open_table(EVENTS).unwrap();
        assert_eq!(events.len().unwrap(), 2);
    }
}
