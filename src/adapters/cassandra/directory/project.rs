//! What is written for the directory when events are stored, before the rows that say so.

use bobchat_actors::ports::projection::{beginnings, changes_state, membership_change};
use bobchat_proto::ids::{Position, RoomId};
use bobchat_proto::wire::{self, RoomKind, RoomSettings, event::Body};
use futures_util::future::try_join3;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::adapters::cassandra::CassandraStore;
use crate::adapters::cassandra::batches::{Sized, batches};
use crate::adapters::cassandra::error::Failure;
use crate::adapters::cassandra::place::{changes_bucket, write_timestamp};
use crate::adapters::cassandra::room_log::{id, number};
use crate::adapters::cassandra::store::{Encoded, IN_FLIGHT};

impl CassandraStore {
    /// Writes the changes among events, and the hints by which they are found. A hint leads to the room or the user's
    /// row, where what the room's log does not own is left out: one that a lost run left behind costs a read.
    pub(in crate::adapters::cassandra) async fn project(&self, room: RoomId, rows: &[Encoded]) -> Result<(), Failure> {
        let changes: Vec<&Encoded> = rows.iter().filter(|row| changes_state(&row.stored.event)).collect();
        let Some(newest) = changes.iter().map(|row| row.position).max() else { return Ok(()) };
        self.put_changes(room, &changes).await?;
        let events = || changes.iter().map(|row| &row.stored.event);
        try_join3(
            self.note_changed(room, newest),
            self.note_changed_of(room, events()),
            self.put_beginnings_of(room, events()),
        )
        .await?;
        Ok(())
    }

    async fn put_changes(&self, room: RoomId, changes: &[&Encoded]) -> Result<(), Failure> {
        let changes = changes.iter().map(|row| {
            let Position { epoch, seq } = row.position;
            let (bucket, timestamp) = (changes_bucket(seq), write_timestamp(row.position));
            let values = (id(room), number(bucket), number(seq.0), number(epoch.0), row.payload.clone(), timestamp);
            Sized { partition: bucket, bytes: row.payload.len(), values }
        });
        for batch in batches(changes) {
            self.write(&self.statements.directory.put_change, batch).await?;
        }
        Ok(())
    }

    /// Says that the room has a change that may not be folded.
    async fn note_changed(&self, room: RoomId, newest: Position) -> Result<(), Failure> {
        let values = (write_timestamp(newest), number(newest.seq.0), id(room));
        self.execute(&self.statements.directory.note_changed, values).await?;
        Ok(())
    }

    /// Says so to everybody who became or stopped being a member.
    async fn note_changed_of<'a>(
        &self,
        room: RoomId,
        changes: impl Iterator<Item = &'a wire::Event>,
    ) -> Result<(), Failure> {
        let values = changes.filter_map(|event| {
            let (user, _) = membership_change(event)?;
            Some((write_timestamp(event.position()), number(event.seq), number(user.get()), id(room)))
        });
        let writes: Vec<_> =
            values.map(|values| self.execute(&self.statements.directory.note_changed_of, values)).collect();
        stream::iter(writes).buffer_unordered(IN_FLIGHT).map_ok(drop).try_collect().await
    }

    /// Has the room found by its new names. By which it is not found any more is told when they are folded.
    async fn put_beginnings_of<'a>(
        &self,
        room: RoomId,
        changes: impl Iterator<Item = &'a wire::Event>,
    ) -> Result<(), Failure> {
        for event in changes {
            let beginnings = match &event.body {
                Some(Body::Created(created)) => created.settings.as_ref().map(beginnings),
                Some(Body::Settings(wire::SettingsChanged { name: Some(name), .. })) => {
                    self.may_be_listed(room).await?.then(|| beginnings_of_public(name))
                }
                _ => None,
            };
            self.put_beginnings(room, beginnings.unwrap_or_default(), event.position()).await?;
        }
        Ok(())
    }

    /// Whether a room is not known to be private: its kind is fixed when it is created.
    async fn may_be_listed(&self, room: RoomId) -> Result<bool, Failure> {
        let settings = self.read_state(room).await?.settings;
        Ok(settings.is_none_or(|settings| bobchat_actors::ports::projection::is_listed(&settings)))
    }
}

fn beginnings_of_public(name: &str) -> std::collections::BTreeSet<String> {
    beginnings(&RoomSettings { name: name.to_owned(), kind: RoomKind::Public as i32, ..RoomSettings::default() })
}
