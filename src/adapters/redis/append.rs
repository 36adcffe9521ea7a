//! A batch as the arguments of `scripts/append.lua`, and its answer as outcomes.
//!
//! The node encodes each event without its place; the script puts the fields of the place behind it, which is the
//! whole event in protobuf, for the order of fields does not matter. So the bytes that are stored and published
//! are made once, nobody decodes them on the way, and the answer is nothing but places.

use bobchat_actors::plant::{self, Bug};
use bobchat_actors::ports::{LiveAppend, LiveAppended, LiveRefusal, NewEvent, Outcome, Placement};
use bobchat_proto::ids::{Epoch, EventId, Ordinal, Position, Sequence};
use bobchat_proto::wire::{self, event::Body};
use bobchat_proto::{backplane, limits};
use prost::Message as _;
use redis::Value;
use sha2::{Digest as _, Sha256};

use super::error::{CallError, RETRY_AFTER};
use super::frame::FRAME_VERSION;
use super::keys::RoomKeys;
use super::reply::{Reply, number};
use super::script::Call;
use super::trace;

/// Bytes of a hash, of an id.
const WORD: usize = 8;

/// What `scripts/append.lua` is called with.
pub(super) fn call(append: &LiveAppend, publish: &str, node: u64) -> Call {
    let LiveAppend { append: batch, deadline, bounds, salvage } = append;
    let (room, keys) = (batch.room, RoomKeys::new(batch.room));
    let [d0, d1] = keys.used();
    let frame = backplane::Frame {
        version: FRAME_VERSION,
        node,
        room: room.get(),
        epoch: batch.epoch.0,
        trace: trace::present(),
        ..backplane::Frame::default()
    };
    let mut call = Call::new([keys.meta(), keys.stream(), d0, d1, keys.dirty(), keys.heads()])
        .with(batch.epoch)
        .with(batch.known_seq)
        .with(batch.state_seq)
        .with(deadline)
        .with(bounds.events)
        .with(bounds.bytes)
        .with(u8::from(*salvage))
        .with(publish)
        .with(keys.channel());
    call.push(frame.encode_to_vec());
    let mut call = call.with(room);
    batch.events.iter().for_each(|new| push_event(&mut call, new));
    call
}

fn push_event(call: &mut Call, new: &NewEvent) {
    let NewEvent { event, body_hash, made_at: _ } = new;
    let kind = if is_message(event) { "message" } else { "state" };
    let key = event.key.as_deref().filter(|_| !plant::is(Bug::DoubleOnRetry));
    call.push(key.map(|key| used_key(event.author, key)).unwrap_or_default());
    call.push(body_hash.to_le_bytes());
    call.push(event.id.to_le_bytes());
    call.push(kind);
    call.push(without_place(event).encode_to_vec());
}

/// An event as it is before the log takes it, whatever its author left in it.
fn without_place(event: &wire::Event) -> wire::Event {
    wire::Event { epoch: 0, seq: 0, at: 0, ordinal: None, ..event.clone() }
}

fn is_message(event: &wire::Event) -> bool {
    matches!(event.body, Some(Body::Message(_)))
}

/// What an idempotency key is remembered as. Clients choose keys: only a hash that nobody can steer keeps one
/// user's keys from another's.
fn used_key(author: u64, key: &str) -> Vec<u8> {
    debug_assert!(key.len() <= limits::KEY_LENGTH_MAX);
    let hash = Sha256::new().chain_update(author.to_le_bytes()).chain_update(key).finalize();
    hash.into_iter().take(2 * WORD).collect()
}

/// Reads what the script answered.
pub(super) fn appended(append: LiveAppend, answer: Value) -> Result<LiveAppended, LiveRefusal> {
    let mut reply = Reply::new(answer)?;
    match reply.word.as_str() {
        "OK" => Ok(outcomes(append, reply)?),
        "COLD" => Err(LiveRefusal::Cold),
        "EPOCH" => Err(LiveRefusal::NewerEpoch(Epoch(reply.number()?))),
        "STALE" => Err(LiveRefusal::Stale),
        "CLOSED" => Err(LiveRefusal::Closed),
        "OPENING" => Err(LiveRefusal::Opening),
        "BEHIND" => Err(LiveRefusal::Behind),
        "EXPIRED" => Err(LiveRefusal::Expired),
        "FULL" => Err(LiveRefusal::Full { retry_after: RETRY_AFTER }),
        other => Err(CallError::nonsense(format!("{other:?} to an append")).into()),
    }
}

fn outcomes(append: LiveAppend, mut reply: Reply) -> Result<LiveAppended, CallError> {
    let archived = Sequence(reply.number()?);
    let epoch = append.append.epoch;
    let events = append.append.events.into_iter();
    let outcomes = events.map(|new| {
        let item = reply.bytes()?.ok_or_else(|| CallError::nonsense("too short"))?;
        outcome(epoch, new.event, &item)
    });
    Ok(LiveAppended { outcomes: outcomes.collect::<Result<_, CallError>>()?, archived })
}

fn outcome(epoch: Epoch, event: wire::Event, item: &[u8]) -> Result<Outcome, CallError> {
    match item.split_first() {
        Some((b'+', place)) => {
            let Place { seq, at, ordinal } = Place::parse(place)?;
            Ok(Outcome::Appended(wire::Event { epoch: epoch.0, seq, at, ordinal, ..event }))
        }
        Some((b'=', used)) => Ok(Outcome::Repeated(repeated(epoch, used)?)),
        Some((b'!', [])) => Ok(Outcome::Conflict),
        _ => Err(CallError::nonsense(format!("{item:?} for an event"))),
    }
}

/// What stands under a key: the hash of the body, the id, the place.
fn repeated(epoch: Epoch, used: &[u8]) -> Result<Placement, CallError> {
    let short = || CallError::nonsense("a key's entry is too short");
    let (_hash, rest) = used.split_at_checked(WORD).ok_or_else(short)?;
    let (id, place) = rest.split_first_chunk::<WORD>().ok_or_else(short)?;
    let id = EventId::new(u64::from_le_bytes(*id)).map_err(CallError::nonsense)?;
    let Place { seq, at, ordinal } = Place::parse(place)?;
    let position = Position { epoch, seq: Sequence(seq) };
    Ok(Placement { position, ordinal: ordinal.map(Ordinal), id, at })
}

/// Where an event stands in its epoch.
struct Place {
    seq: u64,
    at: i64,
    ordinal: Option<u64>,
}

impl Place {
    /// Reads `seq at ordinal`, with `-` for no ordinal.
    fn parse(bytes: &[u8]) -> Result<Self, CallError> {
        let text = std::str::from_utf8(bytes).map_err(CallError::nonsense)?;
        let mut words = text.split(' ');
        let mut next = || words.next().ok_or_else(|| CallError::nonsense(format!("{text:?} is not a place")));
        let (seq, at, ordinal) = (next()?, next()?, next()?);
        let ordinal = if ordinal == "-" { None } else { Some(number(ordinal)?) };
        Ok(Self { seq: number(seq)?, at: number(at)?, ordinal })
    }
}
