//! Stores on real files, and rooms in them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bobchat::adapters::embedded::{EmbeddedOptions, EmbeddedStore};
use bobchat_actors::ports::contract::BEGIN_MICROS;
use bobchat_actors::ports::memory::ManualClock;
use bobchat_actors::ports::{Append, AppendError, Head, NewEvent, Outcome, RoomLog};
use bobchat_actors::room::body_hash;
use bobchat_proto::ids::{RoomId, Sequence};
use bobchat_proto::wire::{self, HistoryVisibility, RoomKind, event::Body};
use prometheus_client::registry::Registry;

/// No reserve: the machine that runs the tests may have little space left. And no checkpoint because a test
/// takes its time.
pub(crate) fn options() -> EmbeddedOptions {
    let checkpoint_when_idle = Duration::from_secs(3600);
    EmbeddedOptions { cache_bytes: 8 << 20, reserve_bytes: 0, checkpoint_when_idle, ..EmbeddedOptions::default() }
}

pub(crate) fn open(folder: &Path) -> Arc<EmbeddedStore> {
    open_with(folder, options(), &mut Registry::default())
}

pub(crate) fn open_with(folder: &Path, options: EmbeddedOptions, registry: &mut Registry) -> Arc<EmbeddedStore> {
    let clock = Arc::new(ManualClock::new(BEGIN_MICROS));
    EmbeddedStore::open(folder, options, clock, registry).unwrap()
}

/// The value of a metric, as an operator sees it.
pub(crate) fn metric(registry: &Registry, name: &str) -> f64 {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in:\n{text}")).parse().unwrap()
}

pub(crate) fn room(raw: u64) -> RoomId {
    RoomId::new(raw).unwrap()
}

pub(crate) fn message(room: RoomId, key: &str, text: &str) -> NewEvent {
    event(room, key, Body::Message(wire::Message { text: text.to_owned() }))
}

pub(crate) fn event(room: RoomId, key: &str, body: Body) -> NewEvent {
    let body_hash = body_hash(&body);
    let (room, key) = (room.get(), Some(key.to_owned()));
    let event = wire::Event { room, id: 1, author: 1, key, body: Some(body), ..wire::Event::default() };
    NewEvent { event, body_hash, made_at: None }
}

/// Makes a public room of user 1.
pub(crate) async fn create_room(store: &EmbeddedStore, room: RoomId) {
    store.open(room).await.unwrap();
    let (kind, history) = (RoomKind::Public as i32, HistoryVisibility::Everything as i32);
    let settings = wire::RoomSettings { name: format!("room {room}"), kind, history, ..wire::RoomSettings::default() };
    let created = Body::Created(wire::RoomCreated { settings: Some(settings) });
    append(store, room, vec![event(room, "create", created)]).await.unwrap();
}

/// Appends knowing everything.
pub(crate) async fn append(
    store: &EmbeddedStore,
    room: RoomId,
    events: Vec<NewEvent>,
) -> Result<Vec<Outcome>, AppendError> {
    let head = store.head(room).await.unwrap().unwrap();
    append_after(store, room, head, events).await
}

/// Appends knowing this head.
pub(crate) async fn append_after(
    store: &EmbeddedStore,
    room: RoomId,
    head: Head,
    events: Vec<NewEvent>,
) -> Result<Vec<Outcome>, AppendError> {
    let Head { position, state_seq, .. } = head;
    store.append(Append { room, epoch: position.epoch, known_seq: position.seq, state_seq, events }).await
}

pub(crate) async fn tail(store: &EmbeddedStore, room: RoomId) -> Vec<wire::Event> {
    store.tail(room, Sequence::ZERO, usize::MAX).await.unwrap()
}
