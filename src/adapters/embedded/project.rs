//! What the directory derives from events, written in the transaction that adds them.

use bobchat_actors::ports::projection::{MembershipChange, beginnings, fold_membership, fold_settings, is_member};
use bobchat_proto::ids::{RoomId, UserId};
use bobchat_proto::{record, wire};
use prost::Message as _;

use super::tables::{MEMBERSHIPS, PREFIXES, ROOMS, ROOMS_OF, get};
use super::transaction::Transaction;

/// Changes a room's settings, and by which words it is found.
pub(super) fn settings(transaction: &Transaction<'_>, room: RoomId, event: &wire::Event) -> Result<(), redb::Error> {
    let mut rooms = transaction.table(ROOMS)?;
    let mut record: record::Room = get(&rooms, room.get())?.unwrap_or_default();
    let settings = record.settings.get_or_insert_default();
    let before = beginnings(settings);
    if !fold_settings(settings, event) {
        return Ok(());
    }
    let after = beginnings(settings);
    let mut table = transaction.table(PREFIXES)?;
    for gone in before.difference(&after) {
        table.remove((gone.as_str(), room.get()))?;
    }
    for new in after.difference(&before) {
        table.insert((new.as_str(), room.get()), ())?;
    }
    rooms.insert(room.get(), record.encode_to_vec().as_slice())?;
    Ok(())
}

/// Changes a membership, the room's count of members and the user's list of rooms.
pub(super) fn membership(
    transaction: &Transaction<'_>,
    room: RoomId,
    user: UserId,
    change: MembershipChange,
    event: &wire::Event,
) -> Result<(), redb::Error> {
    let mut memberships = transaction.table(MEMBERSHIPS)?;
    let place = (room.get(), user.get());
    let mut membership: record::Membership = get(&memberships, place)?.unwrap_or_default();
    let was_member = is_member(&membership);
    fold_membership(&mut membership, change, event);
    let member = is_member(&membership);
    if !membership.intervals.is_empty() {
        memberships.insert(place, membership.encode_to_vec().as_slice())?;
    }
    if member != was_member {
        count(transaction, room, member)?;
        list(transaction, room, user, member)?;
    }
    Ok(())
}

fn count(transaction: &Transaction<'_>, room: RoomId, joined: bool) -> Result<(), redb::Error> {
    let mut rooms = transaction.table(ROOMS)?;
    let mut record: record::Room = get(&rooms, room.get())?.unwrap_or_default();
    let count = record.member_count;
    record.member_count = if joined { count.saturating_add(1) } else { count.saturating_sub(1) };
    rooms.insert(room.get(), record.encode_to_vec().as_slice())?;
    Ok(())
}

fn list(transaction: &Transaction<'_>, room: RoomId, user: UserId, joined: bool) -> Result<(), redb::Error> {
    let mut rooms_of = transaction.table(ROOMS_OF)?;
    let place = (user.get(), room.get());
    if joined {
        rooms_of.insert(place, ())?;
    } else {
        rooms_of.remove(place)?;
    }
    Ok(())
}
