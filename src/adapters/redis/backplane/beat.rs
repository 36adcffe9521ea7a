use bobchat_proto::ids::RoomId;
use futures_util::future::try_join_all;

use super::super::RedisLog;
use super::super::error::CallError;
use super::super::keys::{SHARDS, heads};

/// Rooms that are read of a shard at once; the others come with the next beat.
const ROOMS_MAX: usize = 1000;

/// Reads which rooms' heads have changed since the last time: the same few commands, however many rooms and clients
/// there are.
#[derive(Debug, Default)]
pub(super) struct Beat {
    /// When the newest change of each shard was that is known, in microseconds.
    known: Vec<u64>,
}

impl Beat {
    /// The rooms that have changed since this was last asked; none at the first time.
    pub(super) async fn changed(&mut self, log: &RedisLog) -> Result<Vec<RoomId>, CallError> {
        let first = self.known.is_empty();
        let known = (0..SHARDS).zip(self.known.iter().copied().chain(std::iter::repeat(0)));
        let answers = try_join_all(known.map(|(shard, known)| read(log, shard, known, first))).await?;
        self.known = answers.iter().map(|(newest, _)| *newest).collect();
        Ok(if first { Vec::new() } else { answers.into_iter().flat_map(|(_, rooms)| rooms).collect() })
    }
}

/// The rooms of a shard that changed after `known`, and when the last of them did. At first only the newest.
async fn read(log: &RedisLog, shard: u64, known: u64, first: bool) -> Result<(u64, Vec<RoomId>), CallError> {
    let mut command = redis::cmd("ZRANGE");
    command.arg(heads(shard));
    if first {
        command.arg(-1).arg(-1).arg("WITHSCORES");
    } else {
        command
            .arg(format!("({known}"))
            .arg("+inf")
            .arg("BYSCORE")
            .arg("LIMIT")
            .arg(0)
            .arg(ROOMS_MAX)
            .arg("WITHSCORES");
    }
    let answer = log.link.call(&command, log.timeout).await?;
    let rows: Vec<(u64, u64)> = redis::from_redis_value(answer).map_err(CallError::nonsense)?;
    let newest = rows.iter().map(|(_, at)| *at).max().unwrap_or(known);
    Ok((newest, rows.into_iter().filter_map(|(room, _)| RoomId::new(room).ok()).collect()))
}
