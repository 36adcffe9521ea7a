//! What a client did or heard.

use bobchat_proto::wire;
use serde::{Deserialize, Serialize};

use super::super::abuser::Abuse;
use crate::check::Kind;

/// Names one line of a history, and says when it was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Op {
    /// Its place among all lines of the run, from 1.
    pub(in super::super) n: u64,
    /// Nanoseconds since the run began, by a clock that never goes back.
    pub(in super::super) t_ns: u64,
}

/// What a client did or heard. Of a message: `send` is its invocation, `ok`, `fail` and `info` are its outcomes, and
/// `again` a further attempt under the same key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(in super::super) enum Fact {
    /// Who the client is, and whether it says everything over REST.
    Is {
        user: u64,
        #[serde(default)]
        over_rest: bool,
    },
    /// It has a new connection, which carries nothing yet.
    Connected { node: usize },
    /// Its connection is gone, and with it the answers to these many messages.
    Gone { unanswered: usize },
    /// Its stream of a room goes on after a position.
    Subscribed { room: u64, after: wire::Position },
    /// Its stream of a room was told to drop what it has and go on after `head`.
    Reset { room: u64, cursor: wire::Position, head: wire::Position },
    /// A stream brought the event.
    Live,
    /// A page showed the events. `known`: what the reader was told before it asked, which the newest page must reach.
    Page {
        #[serde(skip_serializing_if = "Option::is_none", default)]
        known: Option<wire::Position>,
    },
    /// It is about to send a message for the first time.
    Send { room: u64, key: String, text: String },
    /// It sends the message again, whose outcome it does not know.
    Again { key: String },
    /// The message was acknowledged, for the first time or again.
    Ok { key: String, ack: wire::MessageSendOk },
    /// It heard that the message was surely not added, and gave it up.
    Fail { key: String },
    /// It gave the message up, which may or may not stand.
    Info { key: String },
    /// An answer was an error: what is asked again.
    Refused { code: String },
    /// A request got no answer on a connection that went on.
    Unanswered,
    /// It asks to leave a room.
    Leaving { room: u64 },
    /// It was told that it is no member any more.
    Left { room: u64 },
    /// It was shown the newest page of a room that it had left.
    Peek { room: u64 },
    /// It asks to join a room.
    Joining { room: u64 },
    /// One who means harm did so, from then until now. `closed`: how the node ended the connection, by the code of its
    /// close, its HTTP status or `cut`; absent when it bore it for too long.
    Abused {
        abuse: Abuse,
        from_ns: u64,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        closed: Option<String>,
    },
    /// Something was wrong that has nothing to do with one message.
    Fault { kind: Kind, detail: String },
}

impl Fact {
    /// A promise that was broken in a way that the client sees itself.
    pub(in super::super) fn fault(kind: Kind, detail: String) -> Self {
        Self::Fault { kind, detail }
    }
}

/// A fact with all that belongs to it.
#[derive(Debug, Clone)]
pub(in super::super) struct Told {
    pub(in super::super) op: Op,
    pub(in super::super) client: usize,
    pub(in super::super) fact: Fact,
    /// The events that it was shown.
    pub(in super::super) events: Vec<wire::Event>,
}
