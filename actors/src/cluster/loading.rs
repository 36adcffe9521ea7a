//! What a room is, up to what its live log shows (rule 23).

use bobchat_proto::ids::RoomId;
use bobchat_proto::record::Room;

use super::Cluster;
use crate::log::{Fill, FillEnd, run, wait};
use crate::ports::projection::empty_head;
use crate::ports::{LogRow, RoomRow, RoomSnapshot, Unavailable};
use crate::room::RoomState;

/// How often a room is read again whose epoch changes while it is read: some seconds.
const TRIES_MAX: u32 = 8;

impl Cluster {
    /// Reads a room whole: what is stored of its state, the events above it, and what its live log shows; opens the
    /// log where it is cold. `None` where there is no such room.
    pub(super) async fn load(&self, room: RoomId) -> Result<Option<RoomState>, Unavailable> {
        for attempt in 1..=TRIES_MAX {
            let Some((row, _)) = self.opened(room, false).await? else { return Ok(None) };
            match self.load_under(room, &row).await? {
                Some(state) => return Ok(Some(state)),
                // It was lost or raised meanwhile: from the beginning, which opens it.
                None => wait(attempt).await,
            }
        }
        Err(Unavailable::new(format_args!("room {room} changes faster than it is read")))
    }

    /// The room's state under these epochs; `None` when others stand by now.
    async fn load_under(&self, room: RoomId, row: &LogRow) -> Result<Option<RoomState>, Unavailable> {
        let stored = self.directory.snapshot(room).await?;
        let mut state = RoomState::from_snapshot(stored.unwrap_or_else(|| unread(room)));
        state.spans.clone_from(&row.spans);
        match run(&self.node, Fill::new(room, row.clone(), state.applied(), usize::MAX)).await {
            FillEnd::Filled { events, live } => {
                for event in &events {
                    state.apply(event);
                }
                if live.head.position.seq == state.applied() {
                    // The same, but for the epoch where nothing was said under the newest one yet.
                    state.head = live.head;
                }
                Ok(Some(state))
            }
            FillEnd::Cold | FillEnd::NewerEpoch => Ok(None),
            FillEnd::Unavailable => Err(Unavailable::new(format_args!("the events of room {room} cannot be read"))),
        }
    }
}

/// A room of which nothing is stored.
fn unread(room: RoomId) -> RoomSnapshot {
    let row = RoomRow { id: room, room: Room::default(), head: empty_head() };
    RoomSnapshot { row, spans: Vec::new(), memberships: Vec::new() }
}
