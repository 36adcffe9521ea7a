//! What is said over a connection: Bobchat's protocol, or the trivial ones of the floor and the
//! baseline. Members, schedules and checks are the same for all.

mod baseline;
mod bobchat;
mod floor;

use std::borrow::Cow;

use anyhow::Context as _;
use bobchat_proto::codec::Format;
use bobchat_proto::wire;
use bytes::BytesMut;

use crate::check::Head;
use crate::message::Messages;
use crate::ws;

pub(crate) use baseline::{EVENT as BASELINE_EVENT, JOINED as BASELINE_JOINED};
pub(crate) use bobchat::{delivery, event_frame_bytes, request_of};
pub(crate) use floor::{ACK_BYTES as FLOOR_ACK_BYTES, HEADER_BYTES as FLOOR_HEADER_BYTES, Header as FloorHeader, Kind};

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// The protocol of `bobchat-proto`.
    Bobchat(Format),
    /// A length and a header before bytes: `bobchat-loadtest floor`.
    Floor,
    /// Words in text frames: `bobchat-loadtest baseline`.
    Baseline,
}

/// What the server said.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// Something happened in the room.
    Event(Delivery),
    /// A message was taken.
    Ack { index: u64, placed: Placed },
    /// A message was not taken.
    Refused { index: u64, error: wire::Error },
    /// The answer to another request.
    Answer { request: u64, result: Result<Box<wire::ok::Result>, wire::Error> },
    /// The connection as a whole failed.
    Failure(wire::Error),
    /// The room's stream broke off, and goes on after `head`: only a slow reader may meet this.
    Reset { room: u64, head: Head },
    /// Nothing that is checked: presence, typing.
    Signal,
}

/// Whether a message may have been posted before: the server looks for a repeat then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    First,
    Repeated,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    /// The room.
    pub(crate) room: u64,
    /// Its sequence there.
    pub(crate) seq: u64,
    /// Its identifier.
    pub(crate) id: u64,
}

/// An event as one receiver got it. Its hash says whether two receivers got the same.
#[derive(Debug, Clone, Hash)]
pub(crate) struct Delivery {
    pub(crate) room: u64,
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
    pub(crate) id: u64,
    /// When the log took it, in microseconds.
    pub(crate) at: i64,
    pub(crate) author: u64,
    /// What was said, if it is a message.
    pub(crate) said: Option<Said>,
}

/// A message inside an event.
#[derive(Debug, Clone, Hash)]
pub(crate) struct Said {
    /// Which message of this run it is; absent when it is none of them.
    pub(crate) index: Option<u64>,
    /// Its count in the room; absent where the dialect has none.
    pub(crate) ordinal: Option<u64>,
    pub(crate) text: String,
}

/// One unit at the head of a chunk.
#[derive(Debug)]
pub(crate) enum Unit<'a> {
    /// Something for [`Dialect::decode`].
    Payload(Cow<'a, [u8]>),
    /// To be answered with the same bytes.
    Ping(&'a [u8]),
    /// The server closes.
    Close { code: u16, reason: String },
    /// Nothing to do.
    Nothing,
}

impl Dialect {
    /// The first unit of `chunk` and how many bytes it takes; `None` when it has not arrived whole. `reader` keeps
    /// what a WebSocket message in fragments has brought so far.
    ///
    /// # Errors
    /// When the bytes are not of this dialect; a [`ws::Violation`] when they are not even of a WebSocket.
    pub(crate) fn split<'a>(
        self,
        reader: &mut ws::Reader,
        chunk: &'a [u8],
    ) -> anyhow::Result<Option<(Unit<'a>, usize)>> {
        if self == Self::Floor {
            return Ok(floor::split(chunk)?.map(|payload| (Unit::Payload(Cow::Borrowed(payload)), payload.len())));
        }
        let Some((incoming, length)) = reader.next(chunk)? else { return Ok(None) };
        let unit = match incoming {
            ws::Incoming::Text(payload) | ws::Incoming::Binary(payload) => Unit::Payload(payload),
            ws::Incoming::Ping(payload) => Unit::Ping(payload),
            ws::Incoming::Nothing => Unit::Nothing,
            ws::Incoming::Close(None) => Unit::Close { code: ws::NO_CODE, reason: String::new() },
            ws::Incoming::Close(Some((code, reason))) => Unit::Close { code, reason: reason.to_owned() },
        };
        Ok(Some((unit, length)))
    }

    /// Reads what the server said.
    ///
    /// # Errors
    /// When the bytes are not of this dialect.
    pub(crate) fn decode(self, payload: &[u8], messages: &Messages) -> anyhow::Result<Incoming> {
        match self {
            Self::Bobchat(format) => bobchat::decode(payload, format, messages),
            Self::Floor => floor::decode(payload),
            Self::Baseline => {
                let text = std::str::from_utf8(payload).context("the baseline sent what is no text")?;
                baseline::decode(text, messages)
            }
        }
    }

    /// Appends what posts message `index` to `room`.
    pub(crate) fn write_send(
        self,
        out: &mut BytesMut,
        mask: [u8; 4],
        room: u64,
        index: u64,
        attempt: Attempt,
        messages: &Messages,
    ) {
        match self {
            Self::Bobchat(format) => {
                let made_at = (attempt == Attempt::First).then(crate::time::wall_micros);
                let send = wire::MessageSend { room, key: messages.key(index), text: messages.text(index), made_at };
                let request = wire::client_frame::Request::MessageSend(send);
                bobchat::write(out, mask, request_of(index), request, format);
            }
            Self::Floor => floor::write_send(out, room, index, &messages.text(index)),
            Self::Baseline => {
                let text = baseline::send_text(index, messages);
                ws::write_masked(out, ws::Opcode::Text, mask, text.as_bytes());
            }
        }
    }

    /// Appends a request of Bobchat's protocol; the other dialects have none beside posting.
    pub(crate) fn write_request(
        self,
        out: &mut BytesMut,
        mask: [u8; 4],
        id: u64,
        request: wire::client_frame::Request,
    ) {
        if let Self::Bobchat(format) = self {
            bobchat::write(out, mask, id, request, format);
        }
    }

    /// How long a text must be so that a delivery takes as many bytes as Bobchat's with `bytes` of text.
    pub(crate) fn text_bytes(self, bytes: usize) -> usize {
        let delivered = event_frame_bytes(bytes);
        match self {
            Self::Bobchat(_) => bytes,
            Self::Floor => delivered.saturating_sub(FLOOR_HEADER_BYTES),
            Self::Baseline => delivered.saturating_sub(baseline::OVERHEAD_BYTES),
        }
    }

    /// Whether the server acks what was posted. The baseline does not: tutorials stop before that. The
    /// floor does where it stores.
    pub(crate) const fn acks(self) -> bool {
        matches!(self, Self::Bobchat(_))
    }
}

/// The request that entering a room counts as where the dialect numbers none.
pub(crate) const ENTER_REQUEST: u64 = 1;

/// The answer to entering a room, in the words of Bobchat's protocol.
fn joined(room: u64, seq: u64) -> Incoming {
    let head = Some(wire::Position { epoch: 1, seq });
    let subscribed = wire::SubscribeOk { room, head, reset: None, error: None };
    Incoming::Answer { request: ENTER_REQUEST, result: Ok(Box::new(wire::ok::Result::Subscribe(subscribed))) }
}
