use std::sync::PoisonError;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bobchat_actors::ports::{
    AdvanceError, FenceError, Fenced, Head, Incarnation, LiveAppend, LiveAppended, LiveHead, LiveLog, LiveRefusal,
    LiveTail, Opening, Unavailable,
};
use bobchat_actors::traces::{self, TRACE};
use bobchat_proto::ids::{Epoch, Ordinal, Position, RoomId, Sequence};
use futures_util::future::try_join_all;
use tracing::Instrument as _;

use super::RedisLog;
use super::append;
use super::check::{CheckError, field};
use super::error::CallError;
use super::keys::{self, RoomKeys, SHARDS};
use super::reply::Reply;
use super::script::{Call, Lua};

/// A fence returns all that a log holds, which may be megabytes: it may take this many times as long.
const FENCE_TIMEOUTS: u32 = 5;

/// Between two lines of the log about appends that fail.
const NOTE_PAUSE: Duration = Duration::from_secs(10);

/// Redis counts entries in signed numbers; nobody needs as many.
const TAIL_EVENTS_MAX: usize = 1_000_000;

impl RedisLog {
    async fn run(&self, script: &Lua, call: &Call) -> Result<Reply, CallError> {
        Reply::new(script.run(&self.link, call, self.timeout).await?)
    }

    async fn append_once(&self, append: LiveAppend) -> Result<LiveAppended, LiveRefusal> {
        let call = append::call(&append, self.link.publish_command(), self.node);
        let answer = self.scripts.append.run(&self.link, &call, self.timeout).await;
        let appended = match answer {
            Ok(answer) => append::appended(append, answer),
            Err(error) => {
                self.note(&error);
                Err(error.into())
            }
        };
        self.link.metrics().appended(&appended);
        appended
    }

    /// Tells the operator why appends fail, for whoever is answered `busy` is not told. Seldom: when one fails,
    /// all do.
    fn note(&self, error: &CallError) {
        if self.may_note() {
            tracing::warn!(error = %error, "could not append to redis");
        }
    }

    /// The shard is another deployment's: nothing was written there.
    fn foreign(&self, mut reply: Reply) -> FenceError {
        let found = reply.text().unwrap_or_default();
        let expected = self.link.deployment_to_compare().unwrap_or_default().to_owned();
        let error = CheckError::OtherDeployment { found, expected };
        if self.may_note() {
            tracing::error!(error = %error, "the addresses of redis lead to another deployment's servers now");
        }
        Unavailable::new(error).into()
    }

    fn may_note(&self) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let may = noted.is_none_or(|at| at.elapsed() >= NOTE_PAUSE);
        if may {
            *noted = Some(Instant::now());
        }
        may
    }
}

#[async_trait]
impl LiveLog for RedisLog {
    /// In the memory of the room's primary on return, and on its disk and replicas as far as it is configured to.
    async fn append(&self, append: LiveAppend) -> Result<LiveAppended, LiveRefusal> {
        let span = traces::below([&traces::present()], |parent| {
            let (room, events) = (append.append.room, append.append.events.len());
            tracing::debug_span!(target: TRACE, parent: parent, "redis.append", room.id = %room, events)
        });
        self.append_once(append).instrument(span).await
    }

    async fn fence(&self, room: RoomId, epoch: Epoch) -> Result<Fenced, FenceError> {
        let keys = RoomKeys::new(room);
        let call = match self.link.deployment_to_compare() {
            None => Call::new([keys.meta(), keys.stream()]).with(epoch),
            Some(own) => Call::new([keys.meta(), keys.stream(), keys.deployment()]).with(epoch).with(own),
        };
        let timeout = self.timeout.saturating_mul(FENCE_TIMEOUTS);
        let answer = self.scripts.fence.run(&self.link, &call, timeout).await.map_err(Unavailable::from)?;
        let mut reply = Reply::new(answer).map_err(Unavailable::from)?;
        match reply.word.as_str() {
            "OK" => self.link.metrics().fenced("done"),
            "FOREIGN" => {
                self.link.metrics().fenced("foreign");
                return Err(self.foreign(reply));
            }
            _ => {
                self.link.metrics().fenced("superseded");
                return Err(superseded(reply));
            }
        }
        let incarnation = Incarnation(reply.text().map_err(Unavailable::from)?);
        Ok(Fenced { incarnation, events: reply.events().map_err(Unavailable::from)? })
    }

    async fn open(&self, opening: Opening) -> Result<(), FenceError> {
        let Opening { room, head, incarnation, salvage_for, closed } = opening;
        let keys = RoomKeys::new(room);
        let [d0, d1] = keys.used();
        let call = Call::new([keys.meta(), keys.stream(), d0, d1, keys.dirty(), keys.heads()])
            .with(head.position.epoch)
            .with(incarnation.0)
            .with(head.position.seq)
            .with(head.at)
            .with(head.ordinal.0)
            .with(head.state_seq)
            .with(salvage_for.as_micros())
            .with(room)
            .with(u8::from(closed));
        let reply = self.run(&self.scripts.open, &call).await.map_err(Unavailable::from)?;
        let is_open = reply.word == "OK";
        self.link.metrics().opened(if is_open { "done" } else { "superseded" });
        if is_open { Ok(()) } else { Err(superseded(reply)) }
    }

    async fn advance(&self, room: RoomId, through: Position) -> Result<(), AdvanceError> {
        let keys = RoomKeys::new(room);
        let call = Call::new([keys.meta(), keys.stream(), keys.dirty(), keys.heads()])
            .with(through.epoch)
            .with(through.seq)
            .with(self.tail_events)
            .with(room);
        let reply = self.run(&self.scripts.advance, &call).await.map_err(Unavailable::from)?;
        match reply.word.as_str() {
            "OK" => Ok(()),
            "REFUSED" => Err(AdvanceError::Refused),
            other => Err(Unavailable::new(format!("{other:?} to an advance")).into()),
        }
    }

    async fn head(&self, room: RoomId) -> Result<Option<LiveHead>, Unavailable> {
        Ok(self.tail(room, Sequence::ZERO, 0).await?.map(|tail| tail.head))
    }

    async fn tail(&self, room: RoomId, after: Sequence, limit: usize) -> Result<Option<LiveTail>, Unavailable> {
        let keys = RoomKeys::new(room);
        let call = Call::new([keys.meta(), keys.stream()]).with(after).with(limit.min(TAIL_EVENTS_MAX));
        let mut reply = self.run(&self.scripts.tail, &call).await?;
        match reply.word.as_str() {
            "OK" => Ok(Some(LiveTail { head: read_head(&mut reply)?, events: reply.events()? })),
            "COLD" => Ok(None),
            other => Err(Unavailable::new(format!("{other:?} to a tail"))),
        }
    }

    /// All shards in one command; on a cluster one each, which share their connections.
    async fn unarchived(&self, limit: usize) -> Result<Vec<RoomId>, Unavailable> {
        let ask = |shards: Vec<u64>| async move {
            let call = Call::new(shards.into_iter().map(keys::dirty)).with(limit.min(TAIL_EVENTS_MAX));
            let answer = self.scripts.dirty.run(&self.link, &call, self.timeout).await?;
            redis::from_redis_value::<Vec<u64>>(answer).map_err(CallError::nonsense)
        };
        let shards: Vec<_> = (0..SHARDS).collect();
        let rooms =
            try_join_all(shards.chunks(self.link.shards_of_a_script()).map(|shards| ask(shards.to_vec()))).await?;
        let rooms = rooms.into_iter().flatten().filter_map(|raw| RoomId::new(raw).ok());
        Ok(rooms.take(limit).collect())
    }

    async fn claim(&self, room: RoomId, holder: u64, lasts: Duration) -> Result<bool, Unavailable> {
        let call = Call::new([RoomKeys::new(room).claim()]).with(holder).with(lasts.as_millis().max(1));
        let reply = self.run(&self.scripts.claim, &call).await?;
        match reply.word.as_str() {
            "OK" => Ok(true),
            "HELD" => Ok(false),
            other => Err(Unavailable::new(format!("{other:?} to a claim"))),
        }
    }

    /// On a cluster, that of all its primaries together: a fail-over of one of them changes it.
    async fn incarnation(&self) -> Result<Incarnation, Unavailable> {
        let infos = self.link.info("replication", self.timeout).await?;
        let mut ids: Vec<_> = infos.iter().filter_map(|info| field(info, "master_replid")).collect();
        ids.sort_unstable();
        if ids.is_empty() {
            return Err(Unavailable::new("redis does not tell its replication id"));
        }
        Ok(Incarnation(ids.join(",")))
    }

    async fn time(&self) -> Result<i64, Unavailable> {
        let infos = self.link.info("server", self.timeout).await?;
        let times = infos.iter().filter_map(|info| field(info, "server_time_usec")?.parse::<i64>().ok());
        times.max().ok_or_else(|| Unavailable::new("redis does not tell the time"))
    }
}

fn superseded(mut reply: Reply) -> FenceError {
    if reply.word != "SUPERSEDED" {
        return Unavailable::new(format!("{:?} to a fence", reply.word)).into();
    }
    FenceError::Superseded(reply.number().ok().map(Epoch))
}

fn read_head(reply: &mut Reply) -> Result<LiveHead, CallError> {
    let position = Position { epoch: Epoch(reply.number()?), seq: Sequence(reply.number()?) };
    let (at, ordinal) = (reply.number()?, Ordinal(reply.number()?));
    let state_seq = Sequence(reply.number()?);
    let head = Head { position, at, ordinal, state_seq };
    Ok(LiveHead { head, archived: Sequence(reply.number()?), closed: reply.text()? == "1" })
}
