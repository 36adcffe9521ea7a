use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bobchat_proto::ids::RoomId;

/// Rooms that are remembered. About 16 bytes each; one that is forgotten costs one small write.
const ROOMS_MAX: usize = 65_536;

/// Up to which bucket it is known to be noted that a room has events, so that it is not noted with every write.
#[derive(Default)]
pub(super) struct NotedBuckets(Mutex<HashMap<RoomId, u64>>);

impl NotedBuckets {
    /// Whether that bucket, or a later one, is noted.
    pub(super) fn covers(&self, room: RoomId, bucket: u64) -> bool {
        self.rooms().get(&room).is_some_and(|noted| *noted >= bucket)
    }

    /// Remembers what was noted durably.
    pub(super) fn learn(&self, room: RoomId, bucket: u64) {
        let mut rooms = self.rooms();
        if rooms.len() >= ROOMS_MAX && !rooms.contains_key(&room) {
            rooms.clear();
        }
        let noted = rooms.entry(room).or_default();
        *noted = bucket.max(*noted);
    }

    /// Nothing that panics runs under the lock.
    fn rooms(&self) -> MutexGuard<'_, HashMap<RoomId, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
