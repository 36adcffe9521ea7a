//! A room's one row: where its log stands, and the fold of its changes.

use bobchat_actors::ports::Head;
use bobchat_proto::ids::{Epoch, Ordinal, Position, RoomId, Sequence};
use bobchat_proto::wire;
use prost::Message as _;
use scylla::DeserializeRow;
use scylla::value::MaybeUnset;

use crate::adapters::cassandra::CassandraStore;
use crate::adapters::cassandra::error::Failure;
use crate::adapters::cassandra::place::write_timestamp;
use crate::adapters::cassandra::room_log::{id, number};

/// What stands in the row.
#[derive(Debug, Clone, Default)]
pub(super) struct RoomState {
    /// What was noted last.
    pub(super) head: Option<Head>,
    /// `None` before the event that begins the room is folded.
    pub(super) settings: Option<wire::RoomSettings>,
    /// Members after [`RoomState::folded`].
    pub(super) members: u64,
    /// How many there ever were.
    pub(super) people: u64,
    /// The last change that is folded.
    pub(super) folded: Sequence,
    /// The newest change that was projected: by position, so there may be none of that seq.
    pub(super) changed: Sequence,
}

/// The columns of the row, each of which may be missing.
#[derive(DeserializeRow)]
struct Columns {
    epoch: Option<i64>,
    seq: Option<i64>,
    at: Option<i64>,
    ordinal: Option<i64>,
    state_seq: Option<i64>,
    settings: Option<Vec<u8>>,
    members: Option<i64>,
    people: Option<i64>,
    folded: Option<i64>,
    changed: Option<i64>,
}

impl Columns {
    fn head(&self) -> Option<Head> {
        let position = Position { epoch: Epoch(self.epoch?.cast_unsigned()), seq: seq(self.seq) };
        let (ordinal, state_seq) = (Ordinal(count(self.ordinal)), seq(self.state_seq));
        Some(Head { position, at: self.at?, ordinal, state_seq })
    }

    fn state(self) -> Result<RoomState, Failure> {
        Ok(RoomState {
            head: self.head(),
            settings: self.settings.as_deref().map(wire::RoomSettings::decode).transpose()?,
            members: count(self.members),
            people: count(self.people),
            folded: seq(self.folded),
            changed: seq(self.changed),
        })
    }
}

fn count(column: Option<i64>) -> u64 {
    column.unwrap_or_default().cast_unsigned()
}

fn seq(column: Option<i64>) -> Sequence {
    Sequence(count(column))
}

impl CassandraStore {
    /// Nothing of a room that nothing was stored of.
    pub(super) async fn read_state(&self, room: RoomId) -> Result<RoomState, Failure> {
        let rows = self.execute(&self.statements.directory.room, (id(room),)).await?.into_rows_result()?;
        rows.maybe_first_row::<Columns>()?.map_or_else(|| Ok(RoomState::default()), Columns::state)
    }

    /// Writes a fold, which ends with the change at `last`. Its timestamp is that position: whoever folds up to there
    /// writes the same, and nobody who folded less replaces it.
    pub(super) async fn write_state(&self, room: RoomId, state: &RoomState, last: Position) -> Result<(), Failure> {
        let settings = MaybeUnset::from_option(state.settings.as_ref().map(wire::RoomSettings::encode_to_vec));
        let (members, people) = (number(state.members), number(state.people));
        let values = (write_timestamp(last), settings, members, people, number(state.folded.0), id(room));
        self.execute(&self.statements.directory.put_state, values).await?;
        Ok(())
    }
}
