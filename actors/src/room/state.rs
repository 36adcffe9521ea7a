use std::collections::HashMap;

use bobchat_proto::ids::{RoomId, Sequence, UserId};
use bobchat_proto::record;
use bobchat_proto::wire::{self, Role};

use crate::plant::{self, Bug};
use crate::ports::projection::{self, MembershipChange};
use crate::ports::{Head, RoomRow, RoomSnapshot, Span, Visible, is_shown};

/// What a room is at one position of its log: the fold of its events up to there. Only
/// [`RoomState::apply`] changes it (log protocol, rule 4).
#[derive(Debug, Clone)]
pub struct RoomState {
    /// The room.
    pub id: RoomId,
    /// Its settings.
    pub settings: wire::RoomSettings,
    /// The head of the log as far as it is applied.
    pub head: Head,
    /// The unbroken runs of the log, oldest first.
    pub spans: Vec<Span>,
    /// Everybody who is or was a member.
    memberships: HashMap<UserId, record::Membership>,
    member_count: u64,
}

impl RoomState {
    /// The state that a store keeps.
    #[must_use]
    pub fn from_snapshot(snapshot: RoomSnapshot) -> Self {
        let RoomRow { id, room, head } = snapshot.row;
        Self {
            id,
            settings: room.settings.unwrap_or_default(),
            head,
            spans: snapshot.spans,
            memberships: snapshot.memberships.into_iter().collect(),
            member_count: room.member_count,
        }
    }

    /// The state of a room whose log is empty.
    #[must_use]
    pub fn empty(id: RoomId, head: Head) -> Self {
        let settings = wire::RoomSettings::default();
        let spans = vec![Span { epoch: head.position.epoch, base: Sequence(1) }];
        Self { id, settings, head, spans, memberships: HashMap::new(), member_count: 0 }
    }

    /// The state as a store keeps it.
    #[must_use]
    pub fn into_snapshot(self) -> RoomSnapshot {
        let room = record::Room { settings: Some(self.settings), member_count: self.member_count };
        let mut memberships: Vec<_> = self.memberships.into_iter().collect();
        memberships.sort_unstable_by_key(|(user, _)| *user);
        RoomSnapshot { row: RoomRow { id: self.id, room, head: self.head }, spans: self.spans, memberships }
    }

    /// The seq up to which every event is applied.
    #[must_use]
    pub fn applied(&self) -> Sequence {
        self.head.position.seq
    }

    /// Whether the room's first event is not there yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.applied() == Sequence::ZERO
    }

    /// Applies the event that follows, and returns who stopped being a member by it.
    pub fn apply(&mut self, event: &wire::Event) -> Option<UserId> {
        let follows = Sequence(event.seq) == self.applied().next();
        debug_assert!(follows || plant::is(Bug::NoGapCheck), "events are applied without a hole");
        projection::fold_settings(&mut self.settings, event);
        self.head = projection::advance(self.head, event);
        let (user, change) = projection::membership_change(event)?;
        let membership = self.memberships.entry(user).or_default();
        let was_member = projection::is_member(membership);
        projection::fold_membership(membership, change, event);
        match (was_member, projection::is_member(membership)) {
            (false, true) => self.member_count += 1,
            (true, false) => self.member_count = self.member_count.saturating_sub(1),
            _ => {}
        }
        (change == MembershipChange::Left).then_some(user)
    }

    /// The role of a present member.
    #[must_use]
    pub fn role(&self, user: UserId) -> Option<Role> {
        let membership = self.memberships.get(&user).filter(|membership| projection::is_member(membership))?;
        Role::try_from(membership.role).ok()
    }

    /// What somebody who is or was a member may see.
    #[must_use]
    pub fn visible(&self, user: UserId) -> Option<Visible> {
        Some(projection::visible(self.memberships.get(&user)?, &self.settings))
    }

    /// Whether an event is for a user.
    #[must_use]
    pub fn shows(&self, user: UserId, event: &wire::Event) -> bool {
        self.visible(user).is_some_and(|visible| is_shown(event, &visible, &self.spans))
    }

    /// The room as it stands in lists, for somebody who asks.
    #[must_use]
    pub fn listed(&self, asker: UserId) -> wire::Room {
        listed(
            &RoomRow {
                id: self.id,
                room: record::Room { settings: Some(self.settings.clone()), member_count: self.member_count },
                head: self.head,
            },
            self.role(asker),
        )
    }
}

/// The room as it stands in lists, for somebody with this role.
#[must_use]
pub fn listed(row: &RoomRow, role: Option<Role>) -> wire::Room {
    wire::Room {
        id: row.id.get(),
        settings: row.room.settings.clone(),
        head: Some(row.head.position.into()),
        ordinal: row.head.ordinal.0,
        member_count: row.room.member_count,
        role: role.map(|role| role as i32),
        changed_at: row.head.at,
    }
}
