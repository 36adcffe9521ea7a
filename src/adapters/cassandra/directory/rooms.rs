//! A room as it is known: the fold, and on top of it the changes above.

use std::collections::{BTreeMap, BTreeSet};

use bobchat_actors::ports::projection::{
    advance, counted, empty_head, fold_membership, fold_settings, is_member, membership_change, was_member,
};
use bobchat_actors::ports::{Head, LogRow, RoomRow, RoomSnapshot};
use bobchat_proto::ids::{RoomId, Sequence, UserId};
use bobchat_proto::record::{Membership, Room};
use bobchat_proto::wire::{self, RoomSettings, event::Body};
use futures_util::future::try_join;

use super::memberships::keep_newest;
use super::state::RoomState;
use crate::adapters::cassandra::CassandraStore;
use crate::adapters::cassandra::error::Failure;

/// A room, and all that was projected of it.
pub(super) struct Known {
    state: RoomState,
    /// The changes above the fold that its log owns, in order: some may be missing between them.
    above: Vec<wire::Event>,
}

impl Known {
    /// What was noted, and the changes right behind it.
    fn head(&self) -> Head {
        let noted = self.state.head.unwrap_or_else(empty_head);
        self.above.iter().fold(noted, |head, change| {
            if change.seq == head.position.seq.next().0 { advance(head, change) } else { head }
        })
    }

    /// The settings after `last`.
    fn settings(&self, last: Sequence) -> RoomSettings {
        let mut settings = self.state.settings.clone().unwrap_or_default();
        for change in self.above.iter().filter(|change| change.seq <= last.0) {
            fold_settings(&mut settings, change);
        }
        settings
    }

    /// Applies the changes above the fold up to `last` to a user's membership.
    pub(super) fn complete(&self, user: UserId, membership: &mut Membership, last: Sequence) {
        for change in self.above.iter().filter(|change| change.seq <= last.0) {
            if let Some((_, kind)) = membership_change(change).filter(|(about, _)| *about == user) {
                fold_membership(membership, kind, change);
            }
        }
    }

    /// How many memberships are folded.
    pub(super) fn people(&self) -> u64 {
        self.state.people
    }

    /// Who the changes above the fold are about.
    fn concerned(&self) -> BTreeSet<UserId> {
        self.above.iter().filter_map(membership_change).map(|(user, _)| user).collect()
    }

    fn is_created(&self) -> bool {
        let is_creation = |event: &wire::Event| matches!(event.body, Some(Body::Created(_)));
        self.state.settings.is_some() || self.above.iter().any(is_creation)
    }
}

/// Everything that was projected, whatever is missing in between.
pub(super) const ALL: Sequence = Sequence(u64::MAX);

impl CassandraStore {
    /// One read, mostly; `None` before the event that begins the room.
    pub(super) async fn known_room(&self, room: RoomId) -> Result<Option<Known>, Failure> {
        let state = self.read_state(room).await?;
        if state.changed <= state.folded {
            return Ok(Some(Known { state, above: Vec::new() }).filter(Known::is_created));
        }
        let Some(row) = self.read_log_row(room, false).await? else { return Ok(None) };
        Ok(Some(self.with_changes(room, state, &row).await?).filter(Known::is_created))
    }

    async fn with_changes(&self, room: RoomId, state: RoomState, row: &LogRow) -> Result<Known, Failure> {
        let (folded, changed) = (state.folded, state.changed);
        let above = if changed > folded { self.changes_above(room, folded, changed, row).await? } else { Vec::new() };
        Ok(Known { state, above })
    }

    pub(super) async fn room_row(&self, room: RoomId) -> Result<Option<RoomRow>, Failure> {
        let Some(known) = self.known_room(room).await? else { return Ok(None) };
        Ok(Some(self.row_of(room, &known).await?))
    }

    /// The room as it stands in lists.
    pub(super) async fn row_of(&self, id: RoomId, known: &Known) -> Result<RoomRow, Failure> {
        let changed = self.changed_memberships(id, known).await?;
        let folded = known.state.folded;
        let member_count = changed.values().fold(known.state.members, |members, (before, after)| {
            counted(members, was_member(before, folded).unwrap_or(false), is_member(after))
        });
        let room = Room { settings: Some(known.settings(ALL)), member_count };
        Ok(RoomRow { id, room, head: known.head() })
    }

    /// The memberships that the changes above the fold are about: folded, and complete.
    async fn changed_memberships(
        &self,
        room: RoomId,
        known: &Known,
    ) -> Result<BTreeMap<UserId, (Membership, Membership)>, Failure> {
        let users = known.concerned();
        let mut folded = self.memberships_of(room, known.state.people, users.iter().copied()).await?;
        let changed = users.into_iter().map(|user| {
            let before = folded.remove(&user).unwrap_or_default();
            let mut after = before.clone();
            known.complete(user, &mut after, ALL);
            (user, (before, after))
        });
        Ok(changed.collect())
    }

    /// A membership may be ahead of the head, while somebody folds: the reader folds on, and it stays as it is. So the
    /// members are counted here.
    pub(super) async fn room_snapshot(&self, room: RoomId) -> Result<Option<RoomSnapshot>, Failure> {
        let (row, state) = try_join(self.read_log_row(room, false), self.read_state(room)).await?;
        let Some(row) = row else { return Ok(None) };
        let known = self.with_changes(room, state, &row).await?;
        if !known.is_created() {
            return Ok(None);
        }
        let head = known.head();
        let last = head.position.seq;
        let mut memberships = self.all_memberships(room, known.state.people).await?;
        for user in known.concerned() {
            known.complete(user, memberships.entry(user).or_default(), last);
        }
        memberships.retain(|_, membership| !membership.intervals.is_empty());
        let members = memberships.values().filter(|membership| is_member(membership)).count();
        let room_record = Room { settings: Some(known.settings(last)), member_count: members as u64 };
        let memberships = memberships.into_iter().collect();
        Ok(Some(RoomSnapshot { row: RoomRow { id: room, room: room_record, head }, spans: row.spans, memberships }))
    }

    pub(super) async fn list_members(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<(UserId, Membership)>, Failure> {
        let Some(known) = self.known_room(room).await? else { return Ok(Vec::new()) };
        let changed = self.changed_memberships(room, &known).await?;
        let mut page: BTreeMap<UserId, Membership> = BTreeMap::new();
        let mut begin = after.map_or(0, UserId::get);
        loop {
            let stretch = self.memberships_after(room, known.state.people, begin, limit.max(1)).await?;
            begin = stretch.rows.last().map_or(begin, |(user, _)| *user);
            let mut rows = BTreeMap::new();
            for (user, membership) in stretch.rows {
                keep_newest(&mut rows, UserId::new(user).map_err(|error| Failure(error.to_string()))?, membership);
            }
            page.extend(rows.into_iter().filter(|(user, row)| is_member(row) && !changed.contains_key(user)));
            if stretch.is_last || page.len() >= limit {
                break;
            }
        }
        let changed = changed.into_iter().filter(|(user, (_, now))| Some(*user) > after && is_member(now));
        page.extend(changed.map(|(user, (_, now))| (user, now)));
        Ok(page.into_iter().take(limit).collect())
    }
}
