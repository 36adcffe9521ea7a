//! What the directory knows of rooms, derived from events: the one place that says it, used by every
//! store when it takes an event, and by room actors when they apply one.

mod membership;
mod search;

use std::collections::BTreeMap;

use bobchat_proto::ids::{Ordinal, Position, Sequence, UserId};
use bobchat_proto::limits::KEY_LIFETIME;
use bobchat_proto::record;
use bobchat_proto::wire::{self, event::Body};

use super::{Append, AppendError, Head};
pub use membership::{
    INTERVALS_MAX, MembershipChange, counted, fold_membership, is_member, last_change, membership_change, visible,
    was_member,
};
pub use search::{beginnings, is_found, is_listed, longest_beginning, search_words};

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

/// Whether the directory derives anything from an event: everything but a message changes the room's state.
#[must_use]
pub fn changes_state(event: &wire::Event) -> bool {
    !matches!(event.body, Some(Body::Message(_)))
}

/// Moves a head on by one event; only what changes the state moves its `state_seq` (log protocol, rule 4).
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

/// Adds a signing key to those that stand, oldest first, if the newest of them is called so; returns whether it did.
pub fn add_signing_key(keys: &mut Vec<record::SigningKey>, newest: Option<&str>, key: record::SigningKey) -> bool {
    if keys.last().map(|known| known.kid.as_str()) != newest {
        return false;
    }
    // A clock that went back must not put it below the one that it follows.
    let after = keys.last().map_or(i64::MIN, |known| known.created_at.saturating_add(1));
    keys.push(record::SigningKey { created_at: key.created_at.max(after), ..key });
    true
}
