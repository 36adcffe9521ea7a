//! A client's messages that are not acknowledged.

use std::collections::BTreeMap;
use std::time::Duration;

use bobchat_proto::error::ErrorCode;
use bobchat_proto::wire;
use tokio::time::Instant;

/// When a message is sent again that was refused.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// After what said nothing of it.
    pub unasked: Duration,
    /// At the latest: a server that is busy may ask for more patience than a short run has.
    pub most: Duration,
}

/// A message that is not acknowledged.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Where it is said.
    pub room: u64,
    /// What.
    pub text: String,
    /// When it was made, until it was sent once.
    pub made_at: Option<i64>,
    /// Whether an answer may have been lost: then a refusal no longer says that it was not added.
    unsure: bool,
    /// When to send it; absent while an answer is waited for.
    due: Option<Instant>,
}

impl Outgoing {
    /// It is on its way from now on.
    fn take(&mut self) -> Self {
        self.due = None;
        let sent = self.clone();
        self.made_at = None;
        sent
    }
}

/// What to do after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is sent again.
    Again {
        /// It was certainly not added, now or before.
        sure: bool,
    },
    /// The client is no member there.
    NoMember {
        /// It was certainly not added before either.
        sure: bool,
    },
    /// Not a refusal that a client of these may get.
    Wrong,
}

/// The messages of one client, in the order in which they were made.
#[derive(Debug)]
pub struct Outbox {
    messages: BTreeMap<u64, Outgoing>,
    made: u64,
    waits: Waits,
}

impl Outbox {
    /// Without messages.
    #[must_use]
    pub const fn new(waits: Waits) -> Self {
        Self { messages: BTreeMap::new(), made: 0, waits }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.messages.len()
    }

    /// The room of a message.
    #[must_use]
    pub fn room(&self, number: u64) -> Option<u64> {
        self.messages.get(&number).map(|message| message.room)
    }

    /// How many are on their way.
    #[must_use]
    pub fn on_the_way(&self) -> usize {
        self.messages.values().filter(|message| message.due.is_none()).count()
    }

    /// Makes a message that is due now; gives its number.
    pub fn make(&mut self, room: u64, text: String, made_at: i64) -> u64 {
        self.made += 1;
        let due = Some(Instant::now());
        self.messages.insert(self.made, Outgoing { room, text, made_at: Some(made_at), unsure: false, due });
        self.made
    }

    /// Takes what is due; it is on its way from now on.
    pub fn take_due(&mut self) -> Vec<(u64, Outgoing)> {
        let now = Instant::now();
        let due = self.messages.iter_mut().filter(|(_, message)| message.due.is_some_and(|due| due <= now));
        due.map(|(number, message)| (*number, message.take())).collect()
    }

    /// Takes the first message that is due, for whoever asks one thing after the other; it is on its way from now on.
    pub fn take_one_due(&mut self) -> Option<(u64, Outgoing)> {
        let now = Instant::now();
        let mut messages = self.messages.iter_mut();
        let (number, message) = messages.find(|(_, message)| message.due.is_some_and(|due| due <= now))?;
        Some((*number, message.take()))
    }

    /// The connection is gone, and with it the answers.
    pub fn lose_answers(&mut self) {
        for message in self.messages.values_mut() {
            // What waited for its time was not on its way.
            message.unsure |= message.due.is_none();
            message.due = Some(Instant::now());
        }
    }

    /// A message was acknowledged, or is given up.
    pub fn remove(&mut self, number: u64) {
        self.messages.remove(&number);
    }

    /// A message was refused: plans its next try.
    pub fn refused(&mut self, number: u64, error: &wire::Error) -> Refusal {
        let Some(message) = self.messages.get_mut(&number) else { return Refusal::Wrong };
        let wait = error.retry_after_ms.map_or(self.waits.unasked, Duration::from_millis).min(self.waits.most);
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
