//! One connection of a client, and what it asked for there.

use std::collections::BTreeMap;

use bobchat_proto::ids::Position;
use bobchat_proto::wire::ClientFrame;
use bobchat_proto::wire::client_frame::Request;
use tokio::time::Instant;

use crate::connection::Connection;

/// What was asked for on a connection.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    Send { number: u64 },
    Subscribe,
    Join { room: u64 },
    Leave { room: u64 },
    Newest { known: Option<Position> },
    Events,
    Ping,
}

/// One connection, signed in.
pub(super) struct Visit {
    pub(super) connection: Connection,
    pub(super) asked: BTreeMap<u64, (Asked, Instant)>,
    pub(super) next_id: u64,
    /// The newest own message of each room that was acknowledged here.
    pub(super) known: BTreeMap<u64, Position>,
    /// Rooms whose stream has begun.
    pub(super) streams: BTreeMap<u64, Stream>,
    pub(super) hangs_up: bool,
    pub(super) pinged: Instant,
}

/// A room's stream on a connection.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stream {
    /// It was asked for, or asked for again, since the last wish to leave.
    pub(super) is_wanted: bool,
    /// It brought the event that says that this client left.
    pub(super) has_ended: bool,
}

impl Visit {
    /// The request to sign in, which is the first, is under way on it.
    pub(super) fn on(connection: Connection) -> Self {
        Self {
            connection,
            asked: BTreeMap::new(),
            next_id: 2,
            known: BTreeMap::new(),
            streams: BTreeMap::new(),
            hangs_up: false,
            pinged: Instant::now(),
        }
    }

    pub(super) async fn ask(&mut self, asked: Asked, request: Request) -> anyhow::Result<()> {
        let id = self.next_id;
        self.next_id += 1;
        self.asked.insert(id, (asked, Instant::now()));
        self.connection.send(&ClientFrame { id, request: Some(request) }).await
    }

    pub(super) fn is_asked(&self, is: impl Fn(&Asked) -> bool) -> bool {
        self.asked.values().any(|(asked, _)| is(asked))
    }
}
