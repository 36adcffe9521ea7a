//! Adding a batch to a room's log, inside the transaction of a commit.

use bobchat_actors::plant::{self, Bug};
use bobchat_actors::ports::projection::{admit, advance, is_honoured, membership_change, place};
use bobchat_actors::ports::{Append, AppendError, Head, NewEvent, Outcome, Placement};
use bobchat_proto::ids::{EventId, Ordinal, RoomId};
use bobchat_proto::record;
use bobchat_proto::wire::{self, event::Body};
use prost::Message as _;

use super::error::corrupt;
use super::project;
use super::tables::{self, head_of, head_record, key_of};
use super::transaction::Transaction;

/// What the writer answers: the outer error fails the whole transaction, the inner one this batch alone,
/// of which nothing was added.
pub(super) type Appended = Result<Vec<Outcome>, AppendError>;

/// Adds the batch, and changes what the directory derives from it.
pub(super) fn append(
    transaction: &mut Transaction<'_>,
    append: Append,
    now_micros: i64,
) -> Result<Appended, redb::Error> {
    let room = append.room;
    let Some(mut head) = head(transaction, room)? else {
        transaction.unchanged();
        return Ok(Err(AppendError::Cold));
    };
    if let Err(refused) = admit(&head, &append) {
        transaction.unchanged();
        return Ok(Err(refused));
    }
    let before = head.position;
    let mut outcomes = Vec::with_capacity(append.events.len());
    for new in append.events {
        outcomes.push(add(transaction, room, &mut head, new, now_micros)?);
    }
    if head.position == before {
        transaction.unchanged();
    } else {
        write_head(transaction, room, &head)?;
    }
    Ok(Ok(outcomes))
}

/// Makes an empty log, or finds the one that is there.
pub(super) fn open(transaction: &mut Transaction<'_>, room: RoomId) -> Result<Head, redb::Error> {
    if let Some(head) = head(transaction, room)? {
        transaction.unchanged();
        return Ok(head);
    }
    let head = bobchat_actors::ports::projection::empty_head();
    write_head(transaction, room, &head)?;
    Ok(head)
}

fn head(transaction: &mut Transaction<'_>, room: RoomId) -> Result<Option<Head>, redb::Error> {
    Ok(transaction.head(room.get())?.map(|record| head_of(&record)))
}

fn write_head(transaction: &mut Transaction<'_>, room: RoomId, head: &Head) -> Result<(), redb::Error> {
    transaction.put_head(room.get(), &head_record(head).encode_to_vec())
}

fn add(
    transaction: &mut Transaction<'_>,
    room: RoomId,
    head: &mut Head,
    new: NewEvent,
    now_micros: i64,
) -> Result<Outcome, redb::Error> {
    let mut event = new.event;
    place(head, now_micros, &mut event);
    if let Some(used) = use_key(transaction, room, &event, new.body_hash, now_micros)? {
        return repeated(transaction, room, &used, new.body_hash);
    }
    write_event(transaction, room, &mut event)?;
    *head = advance(*head, &event);
    transaction.events = transaction.events.saturating_add(1);
    Ok(Outcome::Appended(event))
}

/// Notes that the event's key is used, unless it was before: then returns for what.
///
/// Nearly every key is new. Writing first and taking it back otherwise is one walk down the tree less for
/// each event.
fn use_key(
    transaction: &mut Transaction<'_>,
    room: RoomId,
    event: &wire::Event,
    body_hash: u64,
    now_micros: i64,
) -> Result<Option<record::Key>, redb::Error> {
    let Some(key) = &event.key else { return Ok(None) };
    let key = key_of(room, event.author, key);
    let now_used = record::Key { epoch: event.epoch, seq: event.seq, at: event.at, body_hash };
    let before = transaction.put_key(&key, &now_used.encode_to_vec())?;
    let honoured = before.filter(|before| is_honoured(before, now_micros) && !plant::is(Bug::DoubleOnRetry));
    if let Some(before) = &honoured {
        transaction.put_key(&key, &before.encode_to_vec())?;
    }
    Ok(honoured)
}

fn write_event(transaction: &mut Transaction<'_>, room: RoomId, event: &mut wire::Event) -> Result<(), redb::Error> {
    let mut buffer = std::mem::take(&mut transaction.buffer);
    let seq = event.seq;
    tables::encode_event(event, &mut buffer);
    if matches!(event.body, Some(Body::Message(_))) {
        transaction.put_message(room.get(), seq, &buffer)?;
    } else {
        transaction.put_change(room.get(), seq, &buffer)?;
        project::settings(transaction, room, event)?;
        if let Some((user, change)) = membership_change(event) {
            project::membership(transaction, room, user, change, event)?;
        }
    }
    transaction.buffer = buffer;
    Ok(())
}

fn repeated(
    transaction: &mut Transaction<'_>,
    room: RoomId,
    used: &record::Key,
    body_hash: u64,
) -> Result<Outcome, redb::Error> {
    if used.body_hash != body_hash {
        return Ok(Outcome::Conflict);
    }
    let event = transaction.event(room.get(), used.seq)?;
    let event = event.ok_or_else(|| corrupt("a key stands for an event that is not there"))?;
    Ok(Outcome::Repeated(Placement {
        position: event.position(),
        ordinal: event.ordinal.map(Ordinal),
        id: EventId::new(event.id).map_err(corrupt)?,
        at: event.at,
    }))
}
