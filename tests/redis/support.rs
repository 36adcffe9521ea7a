//! Rooms on a real Redis.

use std::sync::Arc;
use std::time::Duration;

use bobchat::adapters::redis::{RedisLog, RedisOptions, Servers};
use bobchat_actors::ports::{
    Append, Head, LiveAppend, LiveAppended, LiveBounds, LiveLog, LiveRefusal, NewEvent, Opening, Outcome,
};
use bobchat_actors::room::body_hash;
use bobchat_proto::ids::{Epoch, Position, RoomId, Sequence};
use bobchat_proto::wire::{self, event::Body};

use crate::server::RedisServer;

pub(crate) const DEPLOYMENT: &str = "test";
pub(crate) const NODE: u64 = 17;

/// How long anything may take that ends by itself; on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A timeout for calls that nobody will answer.
pub(crate) const QUICK: Duration = Duration::from_millis(300);

pub(crate) fn options(server: &RedisServer) -> RedisOptions {
    options_of(Servers::One(server.url()))
}

/// Calls are waited for as long as it takes, where no test says otherwise.
pub(crate) fn options_of(servers: Servers) -> RedisOptions {
    RedisOptions { timeout: PATIENCE, ..RedisOptions::new(servers, DEPLOYMENT, NODE) }
}

pub(crate) async fn connect(server: &RedisServer) -> Arc<RedisLog> {
    RedisLog::connect(options(server)).await.unwrap()
}

pub(crate) fn room(raw: u64) -> RoomId {
    RoomId::new(raw).unwrap()
}

pub(crate) fn message(room: RoomId, id: u64, key: Option<&str>, text: &str) -> NewEvent {
    let body = Body::Message(wire::Message { text: text.to_owned() });
    let (body_hash, key) = (body_hash(&body), key.map(str::to_owned));
    let event = wire::Event { room: room.get(), id, author: 1, key, body: Some(body), ..wire::Event::default() };
    NewEvent { event, body_hash, made_at: None }
}

/// Makes the room's log under an epoch, from `seq` on.
pub(crate) async fn open(log: &RedisLog, room: RoomId, epoch: u64, seq: u64) {
    let fenced = log.fence(room, Epoch(epoch)).await.unwrap();
    let position = Position { epoch: Epoch(epoch), seq: Sequence(seq) };
    let head = Head { position, ..Head::default() };
    let opening = Opening { room, head, incarnation: fenced.incarnation, salvage_for: Duration::ZERO, closed: false };
    log.open(opening).await.unwrap();
}

/// A batch of somebody who knows nothing of the room, which is no reason to refuse messages.
pub(crate) fn batch(room: RoomId, events: Vec<NewEvent>) -> LiveAppend {
    let (epoch, known_seq, state_seq) = (Epoch(1), Sequence::ZERO, Sequence::ZERO);
    let bounds = LiveBounds { events: 1_000_000, bytes: 1 << 40 };
    let append = Append { room, epoch, known_seq, state_seq, events };
    LiveAppend { append, deadline: i64::MAX, bounds, salvage: false }
}

pub(crate) async fn say(log: &RedisLog, room: RoomId, text: &str) -> Result<LiveAppended, LiveRefusal> {
    log.append(batch(room, vec![message(room, 1, None, text)])).await
}

pub(crate) fn event(outcome: &Outcome) -> &wire::Event {
    match outcome {
        Outcome::Appended(event) => event,
        other => panic!("not appended: {other:?}"),
    }
}

pub(crate) async fn tail(log: &RedisLog, room: RoomId) -> Vec<wire::Event> {
    log.tail(room, Sequence::ZERO, 10_000).await.unwrap().unwrap().events
}
