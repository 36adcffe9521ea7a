//! What the directory knows of rooms, derived from events: the one place that says it, used by every
//! store when it takes an event, and by room actors when they apply one.

use std::collections::BTreeMap;

use bobchat_proto::ids::{Ordinal, Position, Sequence, UserId};
use bobchat_proto::limits::KEY_LIFETIME;
use bobchat_proto::record;
use bobchat_proto::wire::{self, HistoryVisibility, Role, RoomKind, event::Body};
use unicode_normalization::UnicodeNormalization as _;

use super::{Append, AppendError, Head, Visible};

/// Intervals of membership that are kept for one user and room. Somebody who left and came back more
/// often loses sight of the oldest: rows stay small, whatever a client does.
const INTERVALS_MAX: usize = 16;

/// What the directory knows of a room, its head aside: the fold of its events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Derived {
    /// Settings and the number of members.
    pub room: record::Room,
    /// Everybody who is or was a member.
    pub memberships: BTreeMap<UserId, record::Membership>,
}

impl Derived {
    /// Applies the next event.
    pub fn apply(&mut self, event: &wire::Event) {
        fold_settings(self.room.settings.get_or_insert_default(), event);
        let Some((user, change)) = membership_change(event) else { return };
        let membership = self.memberships.entry(user).or_default();
        let was_member = is_member(membership);
        fold_membership(membership, change, event);
        let (count, member) = (self.room.member_count, is_member(membership));
        if membership.intervals.is_empty() {
            self.memberships.remove(&user);
        }
        self.room.member_count = counted(count, was_member, member);
    }

    /// The user's membership, while it lasts.
    #[must_use]
    pub fn member(&self, user: UserId) -> Option<&record::Membership> {
        self.memberships.get(&user).filter(|membership| is_member(membership))
    }
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

/// Whether the directory derives anything from an event: everything but a message changes the room's state.
#[must_use]
pub fn changes_state(event: &wire::Event) -> bool {
    !matches!(event.body, Some(Body::Message(_)))
}

/// Moves a head on by one event.
#[must_use]
pub fn advance(head: Head, event: &wire::Event) -> Head {
    Head {
        position: event.position(),
        at: event.at,
        ordinal: event.ordinal.map_or(head.ordinal, Ordinal),
        state_seq: if changes_state(event) { Sequence(event.seq) } else { head.state_seq },
    }
}

/// Gives an event the place after `head`: epoch, seq, time and, for a message, ordinal.
pub fn place(head: &Head, now_micros: i64, event: &mut wire::Event) {
    event.epoch = head.position.epoch.0;
    event.seq = head.position.seq.next().0;
    event.at = now_micros.max(head.at.saturating_add(1));
    event.ordinal = matches!(event.body, Some(Body::Message(_))).then(|| head.ordinal.0.saturating_add(1));
}

/// The head of a log without events.
#[must_use]
pub fn empty_head() -> Head {
    let epoch = bobchat_proto::ids::Epoch::FIRST;
    Head { position: Position { epoch, seq: Sequence::ZERO }, ..Head::default() }
}

/// Whether a batch may be added to the log with this head, whatever its keys.
///
/// # Errors
/// [`AppendError::Cold`], [`AppendError::StaleEpoch`] or [`AppendError::Behind`].
pub fn admit(head: &Head, append: &Append) -> Result<(), AppendError> {
    let epoch = head.position.epoch;
    if epoch > append.epoch {
        return Err(AppendError::StaleEpoch);
    }
    // A log that ends before what the room has applied has lost something, whatever its epoch says.
    if epoch < append.epoch || head.position.seq < append.known_seq {
        return Err(AppendError::Cold);
    }
    if append.state_seq < head.state_seq {
        return Err(AppendError::Behind);
    }
    Ok(())
}

/// Whether an idempotency key still stands for the event it was used for.
#[must_use]
pub fn is_honoured(key: &record::Key, now_micros: i64) -> bool {
    let age = now_micros.saturating_sub(key.at);
    i128::from(age) < KEY_LIFETIME.as_micros().cast_signed()
}

/// Changes a room's settings as an event says; returns whether it did.
pub fn fold_settings(settings: &mut wire::RoomSettings, event: &wire::Event) -> bool {
    match &event.body {
        Some(Body::Created(created)) => {
            *settings = created.settings.clone().unwrap_or_default();
            true
        }
        Some(Body::Settings(changed)) => {
            settings.name = changed.name.clone().unwrap_or_else(|| std::mem::take(&mut settings.name));
            settings.topic = changed.topic.clone().unwrap_or_else(|| std::mem::take(&mut settings.topic));
            settings.history = changed.history.unwrap_or(settings.history);
            true
        }
        _ => false,
    }
}

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

/// Whether a membership lasts.
#[must_use]
pub fn is_member(membership: &record::Membership) -> bool {
    membership.intervals.last().is_some_and(|interval| interval.left.is_none())
}

/// What somebody with this membership may see: from joining to leaving, both included, and what was
/// before where the room's settings say so.
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

/// Whether a room is found by a search.
#[must_use]
pub fn is_listed(settings: &wire::RoomSettings) -> bool {
    settings.kind == RoomKind::Public as i32
}

/// The words of a name or a query as they are compared: NFKC, lower case, split at what is neither a
/// letter nor a digit. At most eight count.
#[must_use]
pub fn search_words(text: &str) -> Vec<String> {
    let folded: String = text.nfkc().flat_map(char::to_lowercase).collect();
    let words = folded.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.take(8).map(str::to_owned).collect()
}

/// Whether a room is found by a query of these words: for each of them, a word of its name begins with it.
#[must_use]
pub fn is_found(settings: &wire::RoomSettings, query: &[String]) -> bool {
    let name = search_words(&settings.name);
    is_listed(settings) && query.iter().all(|wanted| name.iter().any(|word| word.starts_with(wanted.as_str())))
}

/// Adds a signing key, oldest first, unless one signs as long; returns whether it did.
pub fn add_signing_key(keys: &mut Vec<record::SigningKey>, key: record::SigningKey) -> bool {
    if keys.iter().any(|known| known.signs_until >= key.signs_until) {
        return false;
    }
    keys.push(key);
    keys.sort_by_key(|key| key.created_at);
    true
}
