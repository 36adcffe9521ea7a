use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bobchat_proto::ids::RoomId;
use foldhash::fast::RandomState;
use tokio::time::Instant;

use super::Cluster;

/// How long a room is this node's to archive: what another node waits for when this one dies.
const LEASE: Duration = Duration::from_secs(10);

/// How long an answer is gone by: a lease is renewed at half its time.
const ANSWER_FOR: Duration = Duration::from_secs(5);

/// Answers that are kept before those are dropped that are not gone by any more.
const ANSWERS_KEPT: usize = 4096;

/// Which rooms this node archives, as far as it was told (rule 19). For economy alone: two archivers do the same work
/// twice, and no harm.
#[derive(Default)]
pub(super) struct Leases(Mutex<HashMap<RoomId, (bool, Instant), RandomState>>);

impl Leases {
    fn known(&self, room: RoomId) -> Option<bool> {
        self.answers().get(&room).filter(|(_, at)| at.elapsed() < ANSWER_FOR).map(|(ours, _)| *ours)
    }

    fn note(&self, room: RoomId, ours: bool) {
        let mut answers = self.answers();
        if answers.len() >= ANSWERS_KEPT {
            answers.retain(|_, (_, at)| at.elapsed() < ANSWER_FOR);
        }
        answers.insert(room, (ours, Instant::now()));
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<RoomId, (bool, Instant), RandomState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cluster {
    /// Whether this node is to archive a room now; also where nobody can tell.
    pub(super) async fn archives(&self, room: RoomId) -> bool {
        if let Some(ours) = self.leases.known(room) {
            return ours;
        }
        let Ok(ours) = self.node.live.claim(room, self.number, LEASE).await else { return true };
        self.leases.note(room, ours);
        ours
    }
}
