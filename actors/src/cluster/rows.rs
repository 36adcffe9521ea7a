use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bobchat_proto::ids::RoomId;

use crate::ports::LogRow;
use crate::random::RandomState;

/// Rooms whose row is kept: all that a busy node has loaded. About 150 bytes each.
const ROWS_MAX: usize = 100_000;

/// What decided about rooms' epochs when they were loaded last: hints, never proof.
#[derive(Default)]
pub(super) struct Rows(Mutex<HashMap<RoomId, LogRow, RandomState>>);

impl Rows {
    /// Keeps a row, unless a newer one is known.
    pub(super) fn put(&self, room: RoomId, row: &LogRow) {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.get(&room).is_some_and(|known| known.epoch > row.epoch) {
            return;
        }
        if rows.len() >= ROWS_MAX && !rows.contains_key(&room) {
            // Any: whose is needed again reads it again.
            let any = rows.keys().next().copied();
            any.map(|any| rows.remove(&any));
        }
        rows.insert(room, row.clone());
    }

    pub(super) fn get(&self, room: RoomId) -> Option<LogRow> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&room).cloned()
    }
}
