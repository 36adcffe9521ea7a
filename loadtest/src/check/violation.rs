//! What can go wrong, counted by kind with a few examples of each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many examples of a kind are kept.
const EXAMPLES_MAX: usize = 5;

/// A promise that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A receiver never got an event, or nobody did.
    Loss,
    /// A receiver got an event twice, or a message stands in the room twice.
    Double,
    /// A receiver got an event after a later one.
    Order,
    /// A stream or a log skipped events and said nothing.
    Hole,
    /// Two receivers got different events at one position.
    Disagreement,
    /// An event that somebody saw stands nowhere in the end.
    Vanished,
    /// Somebody read less than what they were told before.
    Stale,
    /// A message that was refused as surely not added stands all the same.
    Phantom,
    /// A message stands before another that was answered before it was begun.
    RealTime,
    /// Somebody who left a room heard what came after, or said something there.
    Removal,
    /// A connection of somebody who means harm was not ended.
    Tolerated,
    /// Not everything came to rest in time after the last fault had ended.
    Unsettled,
    /// A message is not what was sent.
    Text,
    /// Ordinals are not dense, or times do not grow.
    Numbers,
    /// An ack contradicts the event, or belongs to nothing.
    Ack,
    /// A message was never acked.
    Unacked,
    /// A request was refused.
    Refused,
    /// The server closed a connection.
    Closed,
    /// The server broke a stream off.
    Reset,
    /// The server sent what the protocol does not allow.
    Protocol,
    /// A request was not answered, or waited with too many others to be made at all.
    Unanswered,
    /// The server's own figures contradict what its clients saw.
    Metrics,
    /// What the scenario is there to see did not happen.
    Unproven,
}

/// All that went wrong.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Violations {
    /// How often, by kind.
    pub(crate) counts: BTreeMap<Kind, u64>,
    /// The first of each kind, for people.
    pub(crate) examples: Vec<String>,
}

impl Violations {
    /// Counts one, and keeps `detail` if it is among the first of its kind.
    pub(crate) fn add(&mut self, kind: Kind, detail: impl FnOnce() -> String) {
        let count = self.counts.entry(kind).or_insert(0);
        *count += 1;
        if *count <= EXAMPLES_MAX as u64 {
            self.examples.push(format!("{}: {}", kind.name(), detail()));
        }
    }

    /// Whether a connection is gone or a request was refused: going on would only count the same again.
    pub(crate) fn has_ended(&self) -> bool {
        [Kind::Closed, Kind::Protocol, Kind::Refused].iter().any(|kind| self.counts.contains_key(kind))
    }

    /// How many there are.
    pub(crate) fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Adds what went wrong elsewhere in the same run.
    pub(crate) fn merge(&mut self, other: Self) {
        for (kind, count) in other.counts {
            *self.counts.entry(kind).or_insert(0) += count;
        }
        self.examples.extend(other.examples);
    }

    /// Whether every promise was kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

impl Kind {
    /// The invariant that it breaks: docs/torture.md has them all.
    #[must_use]
    pub const fn invariant(self) -> &'static str {
        match self {
            Self::Loss => "I1 durable ack",
            Self::Double | Self::Ack => "I2 idempotent",
            Self::Disagreement | Self::Numbers => "I3 agreement",
            Self::Hole | Self::Order => "I4 order",
            Self::RealTime => "I5 real time",
            Self::Vanished | Self::Text | Self::Phantom => "I6 no phantom",
            Self::Stale => "I7 session",
            Self::Reset | Self::Protocol => "I8 resume",
            Self::Removal => "I10 removal",
            Self::Tolerated => "I14 isolation",
            Self::Unacked
            | Self::Refused
            | Self::Closed
            | Self::Unanswered
            | Self::Metrics
            | Self::Unsettled
            | Self::Unproven => "I9 liveness",
        }
    }

    /// The kind as it stands in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Double => "double",
            Self::Order => "order",
            Self::Hole => "hole",
            Self::Disagreement => "disagreement",
            Self::Vanished => "vanished",
            Self::Stale => "stale",
            Self::Phantom => "phantom",
            Self::RealTime => "real time",
            Self::Removal => "removal",
            Self::Tolerated => "tolerated",
            Self::Unsettled => "unsettled",
            Self::Text => "text",
            Self::Numbers => "numbers",
            Self::Ack => "ack",
            Self::Unacked => "unacked",
            Self::Refused => "refused",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
            Self::Unanswered => "unanswered",
            Self::Metrics => "metrics",
            Self::Unproven => "unproven",
        }
    }
}
