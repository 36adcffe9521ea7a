use bobchat_proto::ids::{Sequence, UserId};
use bobchat_proto::record;
use bobchat_proto::wire::{self, HistoryVisibility, Role, event::Body};

use crate::ports::Visible;

/// Intervals of membership that are kept for one user and room. Somebody who left and came back more
/// often loses sight of the oldest: rows stay small, whatever a client does.
pub const INTERVALS_MAX: usize = 16;

/// Who becomes or stops being a member by an event.
#[must_use]
pub fn membership_change(event: &wire::Event) -> Option<(UserId, MembershipChange)> {
    let (user, change) = match event.body.as_ref()? {
        Body::Created(_) => (event.author, MembershipChange::Joined(Role::Owner)),
        Body::Joined(joined) => (joined.user, MembershipChange::Joined(Role::Member)),
        Body::Left(left) => (left.user, MembershipChange::Left),
        Body::Message(_) | Body::Settings(_) => return None,
    };
    Some((UserId::new(user).ok()?, change))
}

/// What happens to a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembershipChange {
    /// It begins, with this role.
    Joined(Role),
    /// It ends.
    Left,
}

/// Changes a membership at an event's place in the log. Joining twice and leaving twice change nothing; nor does an
/// event that the membership is the fold of already, so events may be folded again (log protocol, rule 21).
pub fn fold_membership(membership: &mut record::Membership, change: MembershipChange, event: &wire::Event) {
    if last_change(membership).is_some_and(|last| event.seq <= last.0) {
        return;
    }
    let inside = is_member(membership);
    match change {
        MembershipChange::Joined(role) if !inside => {
            membership.role = role as i32;
            membership.joined_at = event.at;
            membership.intervals.push(record::Interval { joined: event.seq, left: None });
            if membership.intervals.len() > INTERVALS_MAX {
                membership.intervals.remove(0);
            }
        }
        MembershipChange::Left if inside => {
            membership.role = Role::Unspecified as i32;
            if let Some(interval) = membership.intervals.last_mut() {
                interval.left = Some(event.seq);
            }
        }
        MembershipChange::Joined(_) | MembershipChange::Left => {}
    }
}

/// The seq of the last event that changed a membership.
#[must_use]
pub fn last_change(membership: &record::Membership) -> Option<Sequence> {
    membership.intervals.last().map(|interval| Sequence(interval.left.unwrap_or(interval.joined)))
}

/// Whether a membership lasted after the event at `seq`, also where later events are folded into it. `None` when it
/// has lost sight of that.
#[must_use]
pub fn was_member(membership: &record::Membership, seq: Sequence) -> Option<bool> {
    let begun = membership.intervals.iter().rev().find(|interval| interval.joined <= seq.0);
    match begun {
        Some(interval) => Some(interval.left.is_none_or(|left| left > seq.0)),
        None => (membership.intervals.len() < INTERVALS_MAX).then_some(false),
    }
}

/// Whether a membership lasts.
#[must_use]
pub fn is_member(membership: &record::Membership) -> bool {
    membership.intervals.last().is_some_and(|interval| interval.left.is_none())
}

/// What somebody with this membership may see: from joining to leaving, both included, and what was
/// before where the room's settings say so (log protocol, rule 28).
#[must_use]
pub fn visible(membership: &record::Membership, settings: &wire::RoomSettings) -> Visible {
    let everything = settings.history == HistoryVisibility::Everything as i32;
    let intervals = membership.intervals.iter();
    let ranges = intervals.map(|interval| Sequence(interval.joined)..=Sequence(interval.left.unwrap_or(u64::MAX)));
    match ranges.clone().next_back() {
        Some(last) if everything => vec![Sequence(1)..=*last.end()],
        _ => merge_touching(ranges),
    }
}

fn merge_touching(ranges: impl Iterator<Item = std::ops::RangeInclusive<Sequence>>) -> Visible {
    let mut merged = Visible::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if last.end().next() >= *range.start() => *last = *last.start()..=*range.end(),
            _ => merged.push(range),
        }
    }
    merged
}

/// How many members there are after one of them, or somebody else, became or stopped being one.
#[must_use]
pub fn counted(members: u64, was_member: bool, is_member: bool) -> u64 {
    match (was_member, is_member) {
        (false, true) => members.saturating_add(1),
        (true, false) => members.saturating_sub(1),
        _ => members,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: u64) -> wire::Event {
        wire::Event { seq, at: seq.cast_signed(), ..wire::Event::default() }
    }

    fn fold(changes: &[(u64, MembershipChange)]) -> record::Membership {
        let mut membership = record::Membership::default();
        for (seq, change) in changes {
            fold_membership(&mut membership, *change, &event(*seq));
        }
        membership
    }

    const JOINED: MembershipChange = MembershipChange::Joined(Role::Member);
    const LEFT: MembershipChange = MembershipChange::Left;

    /// Rule 21.
    #[test]
    fn folding_again_what_was_folded_changes_nothing() {
        let changes = [(2, LEFT), (3, JOINED), (4, JOINED), (7, LEFT), (8, LEFT), (9, JOINED), (11, JOINED)];
        let whole = fold(&changes);
        for from in 0..changes.len() {
            let again: Vec<_> = changes.iter().chain(&changes[from..]).copied().collect();
            assert_eq!(fold(&again), whole, "again from {from}");
        }
        assert_eq!(last_change(&whole), Some(Sequence(9)));
    }

    #[test]
    fn what_a_membership_was_is_told_from_what_it_became() {
        let whole = fold(&[(3, JOINED), (7, LEFT), (9, JOINED)]);
        let was = |seq| was_member(&whole, Sequence(seq));
        assert_eq!([2, 3, 6, 7, 8, 9, 90].map(was), [false, true, true, false, false, true, true].map(Some));
        let often: Vec<_> = (1..=40).map(|seq| (seq, if seq % 2 == 1 { JOINED } else { LEFT })).collect();
        let often = fold(&often);
        assert_eq!(often.intervals.len(), INTERVALS_MAX);
        assert_eq!(was_member(&often, Sequence(1)), None, "it was forgotten");
        assert_eq!(was_member(&often, Sequence(39)), Some(true));
    }
}
