use bobchat_proto::ids::RoomId;
use futures_util::future::try_join_all;

use super::super::RedisLog;
use super::super::error::CallError;
use super::super::keys::{SHARDS, heads};
use super::super::script::Call;

/// Rooms that are read of a shard at once; the others come with the next beat.
const ROOMS_MAX: usize = 1000;

/// Reads which rooms' heads have changed since the last time: with one command, or one for each shard of a cluster,
/// however many rooms and clients there are (log protocol, rule 25).
#[derive(Debug)]
pub(super) struct Beat {
    /// Each shard, and when the newest change of it was that is known, in microseconds; none at the first time.
    known: Vec<(u64, Option<u64>)>,
}

impl Default for Beat {
    fn default() -> Self {
        Self { known: (0..SHARDS).map(|shard| (shard, None)).collect() }
    }
}

impl Beat {
    /// Whether nothing was read yet.
    pub(super) fn is_first(&self) -> bool {
        self.known.iter().any(|(_, known)| known.is_none())
    }

    /// The rooms that have changed since this was last asked; none at the first time.
    pub(super) async fn changed(&mut self, log: &RedisLog) -> Result<Vec<RoomId>, CallError> {
        let reading = self.known.chunks(log.link.shards_of_a_script()).map(|shards| read(log, shards));
        let changes = try_join_all(reading).await?.into_iter().flatten();
        let mut rooms = Vec::new();
        for ((_, known), changes) in self.known.iter_mut().zip(changes) {
            let newest = changes.iter().map(|(_, at)| *at).max();
            match *known {
                None => *known = Some(newest.unwrap_or(0)),
                Some(before) => {
                    *known = Some(newest.unwrap_or(before));
                    rooms.extend(changes.into_iter().filter_map(|(room, _)| RoomId::new(room).ok()));
                }
            }
        }
        Ok(rooms)
    }
}

/// For each shard the rooms that changed after what is known, and when. At first only the newest.
async fn read(log: &RedisLog, shards: &[(u64, Option<u64>)]) -> Result<Vec<Vec<(u64, u64)>>, CallError> {
    let mut call = Call::new(shards.iter().map(|(shard, _)| heads(*shard))).with(ROOMS_MAX);
    for (_, known) in shards {
        call = call.with(known.map(|known| known.to_string()).unwrap_or_default());
    }
    let answer = log.scripts.changed.run(&log.link, &call, log.timeout).await?;
    let changes: Vec<Vec<(u64, u64)>> = redis::from_redis_value(answer).map_err(CallError::nonsense)?;
    if changes.len() != shards.len() {
        return Err(CallError::nonsense(format!("changes of {} shards instead of {}", changes.len(), shards.len())));
    }
    Ok(changes)
}
