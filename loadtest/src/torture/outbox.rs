//! A client's messages that are not acknowledged.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bobchat_proto::error::ErrorCode;
use bobchat_proto::wire;

use crate::time::wall_micros;

/// A server that is busy may ask for more patience than a short run has.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// How soon a message is sent again whose outcome is unknown.
const AGAIN: Duration = Duration::from_millis(100);

/// A message that is not acknowledged.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) room: u64,
    pub(super) text: String,
    /// When it was made, until it was sent once.
    pub(super) made_at: Option<i64>,
    /// Whether an answer may have been lost: then a refusal no longer says that it was not added.
    unsure: bool,
    /// When to send it; absent while an answer is waited for.
    due: Option<Instant>,
}

/// What to do after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is sent again. `sure`: it was certainly not added, now or before.
    Again { sure: bool },
    /// The client is no member there. `sure`: it was certainly not added before either.
    NoMember { sure: bool },
    /// Not a refusal that a client of these may get.
    Wrong,
}

/// The messages of one client, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    messages: BTreeMap<u64, Outgoing>,
    made: u64,
}

impl Outbox {
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The room of a message.
    pub(super) fn room(&self, number: u64) -> Option<u64> {
        self.messages.get(&number).map(|message| message.room)
    }

    /// How many are on their way.
    pub(super) fn on_the_way(&self) -> usize {
        self.messages.values().filter(|message| message.due.is_none()).count()
    }

    /// Makes a message that is due now; gives its number.
    pub(super) fn make(&mut self, room: u64, text: String) -> u64 {
        self.made += 1;
        let due = Some(Instant::now());
        let made_at = Some(wall_micros());
        self.messages.insert(self.made, Outgoing { room, text, made_at, unsure: false, due });
        self.made
    }

    /// Takes what is due; it is on its way from now on.
    pub(super) fn take_due(&mut self) -> Vec<(u64, Outgoing)> {
        let now = Instant::now();
        let due = self.messages.iter_mut().filter(|(_, message)| message.due.is_some_and(|due| due <= now));
        due.map(|(number, message)| {
            message.due = None;
            let sent = message.clone();
            message.made_at = None;
            (*number, sent)
        })
        .collect()
    }

    /// The connection is gone, and with it the answers.
    pub(super) fn lose_answers(&mut self) {
        for message in self.messages.values_mut() {
            // What waited for its time was not on its way.
            message.unsure |= message.due.is_none();
            message.due = Some(Instant::now());
        }
    }

    /// A message was acknowledged, or is given up.
    pub(super) fn remove(&mut self, number: u64) {
        self.messages.remove(&number);
    }

    /// A message was refused: plans its next try.
    pub(super) fn refused(&mut self, number: u64, error: &wire::Error) -> Refusal {
        let Some(message) = self.messages.get_mut(&number) else { return Refusal::Wrong };
        let wait = error.retry_after_ms.map_or(AGAIN, Duration::from_millis).min(WAIT_MAX);
        message.due = Some(Instant::now() + wait);
        match ErrorCode::parse(&error.code) {
            Some(ErrorCode::Busy | ErrorCode::Unavailable | ErrorCode::RateLimited) => {}
            Some(ErrorCode::Unknown | ErrorCode::Internal) => message.unsure = true,
            Some(ErrorCode::NotAMember) => return Refusal::NoMember { sure: !message.unsure },
            _ => return Refusal::Wrong,
        }
        Refusal::Again { sure: !message.unsure }
    }
}
