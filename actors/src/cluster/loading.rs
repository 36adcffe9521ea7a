//! What a room is, up to what its live log shows (rule 23).

use bobchat_proto::ids::{RoomId, Sequence};
use bobchat_proto::record::{Membership, Room};
use bobchat_proto::wire::Role;

use super::Cluster;
use crate::log::{Fill, FillEnd, run, wait};
use crate::ports::projection::{empty_head, is_member};
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
        let mut state = RoomState::from_snapshot(as_of_its_head(stored.unwrap_or_else(|| unread(room)), row));
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
    RoomSnapshot {
        row: RoomRow { id: room, room: Room::default(), head: empty_head() },
        spans: Vec::new(),
        memberships: Vec::new(),
    }
}

/// What is stored of a room's state, without what events above its head did to it: those are folded again, and those
/// of a lost epoch never happened (rule 21).
fn as_of_its_head(mut snapshot: RoomSnapshot, row: &LogRow) -> RoomSnapshot {
    let head = &mut snapshot.row.head;
    if head.position.seq > Sequence::ZERO && !row.owns(head.position) {
        *head = empty_head();
    }
    let last = head.position.seq;
    for (_, membership) in &mut snapshot.memberships {
        rewind(membership, last);
    }
    snapshot.memberships.retain(|(_, membership)| !membership.intervals.is_empty());
    let members = snapshot.memberships.iter().filter(|(_, membership)| is_member(membership)).count();
    snapshot.row.room.member_count = members as u64;
    snapshot.spans.clone_from(&row.spans);
    snapshot
}

fn rewind(membership: &mut Membership, last: Sequence) {
    membership.intervals.retain(|interval| interval.joined <= last.0);
    let Some(interval) = membership.intervals.last_mut() else { return };
    if interval.left.is_some_and(|left| left > last.0) {
        interval.left = None;
        // Leaving took the role. Whoever made the room joined with its first event.
        let role = if interval.joined == 1 { Role::Owner } else { Role::Member };
        membership.role = role as i32;
    }
}

#[cfg(test)]
mod tests {
    use bobchat_proto::ids::{Epoch, Position, UserId};
    use bobchat_proto::record::Interval;

    use super::*;
    use crate::ports::{Head, Span};

    fn member(role: Role, intervals: &[(u64, Option<u64>)]) -> Membership {
        let intervals = intervals.iter().map(|(joined, left)| Interval { joined: *joined, left: *left }).collect();
        Membership { role: role as i32, joined_at: 0, intervals }
    }

    fn rewound(head: (u64, u64), memberships: Vec<Membership>) -> (Vec<Membership>, u64) {
        let room = RoomId::new(7).unwrap();
        let position = Position { epoch: Epoch(head.0), seq: Sequence(head.1) };
        let mut snapshot = unread(room);
        snapshot.row.head = Head { position, ..Head::default() };
        let users = (1..).map(|user| UserId::new(user).unwrap());
        snapshot.memberships = users.zip(memberships).collect();
        let spans = vec![Span::FIRST, Span { epoch: Epoch(2), base: Sequence(10) }];
        let row = LogRow { epoch: Epoch(2), spans, ..LogRow::missing() };
        let snapshot = as_of_its_head(snapshot, &row);
        (snapshot.memberships.into_iter().map(|(_, membership)| membership).collect(), snapshot.row.room.member_count)
    }

    #[test]
    fn what_events_above_the_head_did_is_undone() {
        let ahead = vec![
            member(Role::Unspecified, &[(1, Some(9))]),
            member(Role::Unspecified, &[(2, Some(4)), (5, Some(8))]),
            member(Role::Member, &[(3, Some(5)), (8, None)]),
            member(Role::Member, &[(9, None)]),
        ];
        let expected = vec![
            member(Role::Owner, &[(1, None)]),
            member(Role::Member, &[(2, Some(4)), (5, None)]),
            member(Role::Member, &[(3, Some(5))]),
        ];
        assert_eq!(rewound((1, 7), ahead), (expected, 2));
    }

    #[test]
    fn a_head_that_no_span_owns_is_not_believed() {
        assert_eq!(rewound((1, 11), vec![member(Role::Owner, &[(1, None)])]), (Vec::new(), 0));
    }
}
