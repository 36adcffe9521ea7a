use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bobchat_proto::ids::RoomId;
use tokio::time::Instant;

use super::Cluster;
use crate::random::RandomState;

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

    /// Whether the room is this node's, as far as it was told within the time of a lease.
    pub(super) fn holds(&self, room: RoomId) -> bool {
        self.answers().get(&room).is_some_and(|(ours, at)| *ours && at.elapsed() < LEASE)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn room(raw: u64) -> RoomId {
        RoomId::new(raw).expect("a room's identifier")
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_gone_by_for_half_a_lease_and_a_lease_that_was_given_is_held_for_all_of_it() {
        let leases = Leases::default();
        assert_eq!((leases.known(room(1)), leases.holds(room(1))), (None, false), "nobody was asked");
        leases.note(room(1), true);
        leases.note(room(2), false);
        assert_eq!((leases.known(room(1)), leases.holds(room(1))), (Some(true), true));
        assert_eq!((leases.known(room(2)), leases.holds(room(2))), (Some(false), false));
        tokio::time::advance(ANSWER_FOR).await;
        assert_eq!((leases.known(room(1)), leases.holds(room(1))), (None, true), "it is time to renew it");
        assert_eq!((leases.known(room(2)), leases.holds(room(2))), (None, false), "its holder may be gone");
        tokio::time::advance(LEASE - ANSWER_FOR).await;
        assert!(!leases.holds(room(1)), "it has ended");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_are_not_gone_by_are_forgotten_when_there_are_many() {
        let leases = Leases::default();
        for raw in 1..=ANSWERS_KEPT as u64 {
            leases.note(room(raw), true);
        }
        tokio::time::advance(ANSWER_FOR).await;
        leases.note(room(1_000_000), true);
        assert_eq!(leases.answers().len(), 1);
    }
}
