use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bobchat_proto::ids::RoomId;

/// Rooms that are remembered. About 16 bytes each; one that is forgotten costs one small write.
const ROOMS_MAX: usize = 65_536;

/// How far something is known to be noted of each room, so that it is not noted with every write. What is noted only
/// rises.
#[derive(Default)]
pub(super) struct HighWater(Mutex<HashMap<RoomId, u64>>);

impl HighWater {
    /// Whether that, or more, is noted.
    pub(super) fn covers(&self, room: RoomId, wanted: u64) -> bool {
        self.rooms().get(&room).is_some_and(|noted| *noted >= wanted)
    }

    /// Remembers what was noted durably.
    pub(super) fn learn(&self, room: RoomId, noted: u64) {
        let mut rooms = self.rooms();
        if rooms.len() >= ROOMS_MAX && !rooms.contains_key(&room) {
            rooms.clear();
        }
        let known = rooms.entry(room).or_default();
        *known = noted.max(*known);
    }

    /// Nothing that panics runs under the lock.
    fn rooms(&self) -> MutexGuard<'_, HashMap<RoomId, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
