use std::sync::{Arc, PoisonError, RwLock};

use redb::Database;

/// The open database, for readers and the writer; empty while the writer opens it again.
#[derive(Debug)]
pub(super) struct Shared(RwLock<Option<Arc<Database>>>);

impl Shared {
    pub(super) fn new(database: Database) -> Self {
        Self(RwLock::new(Some(Arc::new(database))))
    }

    /// The database; whoever holds it longer than a read keeps its file from being opened again.
    pub(super) fn database(&self) -> Option<Arc<Database>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another in its place. The old one is closed when the last read on it ends.
    pub(super) fn replace(&self, database: Option<Database>) {
        let old = {
            let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, database.map(Arc::new))
        };
        // Closing may write: not under the lock.
        drop(old);
    }
}
