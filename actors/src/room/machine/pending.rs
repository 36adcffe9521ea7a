//! A command on its way.

use bobchat_proto::ids::{Epoch, Position, RoomId};
use bobchat_proto::wire::{self, event::Body};
use tokio::time::Instant;

use super::super::{Command, Key, body_hash};
use crate::operations::Acting;
use crate::ports::NewEvent;

#[derive(Debug)]
pub(super) struct Pending<T> {
    pub(super) ticket: T,
    pub(super) acting: Acting,
    pub(super) command: Command,
    /// The client's idempotency key.
    pub(super) key: Option<Key>,
    /// The identifier of its event, once it is decided.
    pub(super) id: u64,
    pub(super) deadline: Instant,
    pub(super) attempts: u8,
    /// Whether an attempt had an unknown outcome: it may stand in the log, whatever a later one is told.
    pub(super) uncertain: bool,
    /// The epoch of the first such attempt, until it is known whether others heard of it.
    pub(super) doubt: Option<Epoch>,
    /// Where an attempt stood that others heard of, in a log that was lost since.
    pub(super) first: Option<Position>,
}

impl<T> Pending<T> {
    pub(super) fn new(ticket: T, acting: Acting, command: Command, key: Option<Key>, deadline: Instant) -> Self {
        Self { ticket, acting, command, key, id: 0, deadline, attempts: 0, uncertain: false, doubt: None, first: None }
    }

    /// An attempt was made: from now on it is a repeat, whatever the client says of its key (rule 8).
    pub(super) fn sent_before(&mut self) {
        if let Some(key) = &mut self.key {
            key.made_at = None;
        }
    }

    /// An attempt in this epoch has an unknown outcome.
    pub(super) fn in_doubt(&mut self, epoch: Epoch) {
        self.uncertain = true;
        self.doubt.get_or_insert(epoch);
        self.sent_before();
    }

    /// The event that it became.
    pub(super) fn event(&self, room: RoomId, body: Body) -> NewEvent {
        let body_hash = body_hash(&body);
        // Without a client's key the event gets one from here, so that an append whose outcome is unknown can
        // be repeated. `~` keeps it apart from what clients may choose by chance.
        let (key, made_at) = match &self.key {
            Some(key) => (key.text.clone(), key.made_at),
            None => (format!("~{}", self.id), None),
        };
        let event = wire::Event {
            room: room.get(),
            id: self.id,
            author: self.acting.user.get(),
            key: Some(key),
            first: self.first.map(Into::into),
            body: Some(body),
            ..wire::Event::default()
        };
        NewEvent { event, body_hash, made_at }
    }
}
