//! How the directory's lists are cut, for the stores in memory.

use std::borrow::Borrow;

use bobchat_proto::ids::{RoomId, UserId};
use bobchat_proto::record;

use crate::ports::RoomRow;
use crate::ports::projection::{Derived, is_found, is_member, search_words};

/// The rooms that `user` is a member of, of rooms in their order.
pub(super) fn rooms_of<D: Borrow<Derived>>(
    rooms: impl Iterator<Item = (RoomRow, D)>,
    user: UserId,
) -> impl Iterator<Item = (RoomRow, record::Membership)> {
    rooms.filter_map(move |(row, derived)| Some((row, derived.borrow().member(user)?.clone())))
}

/// The rooms that a query finds, of rooms in their order.
pub(super) fn found(rooms: impl Iterator<Item = RoomRow>, query: &str) -> impl Iterator<Item = RoomRow> {
    let words = search_words(query);
    rooms.filter(move |row| row.room.settings.as_ref().is_some_and(|settings| is_found(settings, &words)))
}

/// A page of the present members of a room.
pub(super) fn members(derived: &Derived, after: Option<UserId>, limit: usize) -> Vec<(UserId, record::Membership)> {
    let present = derived.memberships.iter().filter(|(_, membership)| is_member(membership));
    let page = present.filter(|(user, _)| Some(**user) > after).take(limit);
    page.map(|(user, membership)| (*user, membership.clone())).collect()
}

/// Whether a room stands on the page after this one.
pub(super) fn is_after(room: RoomId, after: Option<RoomId>) -> bool {
    Some(room) > after
}
