//! What is said over a connection: Bobchat's protocol, the trivial ones of the floor and the baseline, or those of
//! servers that people use elsewhere. Members, schedules and checks are the same for all.

mod baseline;
mod bobchat;
mod centrifugo;
mod floor;
mod names;
mod socketio;
mod tinode;

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
pub(crate) use names::Names;
pub(crate) use tinode::API_KEY as TINODE_API_KEY;

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// The protocol of `bobchat-proto`.
    Bobchat(Format),
    /// A length and a header before bytes: `bobchat-loadtest floor`.
    Floor,
    /// Words in text frames: `bobchat-loadtest baseline`.
    Baseline,
    /// Socket.IO, as `loadtest/peers/socketio.mjs` serves a room.
    SocketIo,
    /// Centrifugo, in JSON.
    Centrifugo,
    /// Tinode, in JSON.
    Tinode,
}

/// What is needed to read and write beside the words themselves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// The messages of the run.
    pub(crate) messages: &'a Messages,
    /// What the server calls the rooms, where it names them.
    pub(crate) names: &'a Names,
}

/// What the server said.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// Something happened in the room.
    Event(Delivery),
    /// A message was taken. Centrifugo does not say where it stands.
    Ack { index: u64, placed: Option<Placed> },
    /// A message was not taken.
    Refused { index: u64, error: wire::Error },
    /// The server names a room that somebody enters.
    Named { room: u64, name: String },
    /// The answer to another request.
    Answer { request: u64, result: Result<Box<wire::ok::Result>, wire::Error> },
    /// The connection as a whole failed.
    Failure(wire::Error),
    /// The room's stream broke off, and goes on after `head`: only a slow reader may meet this.
    Reset { room: u64, head: Head },
    /// The server asks whether anybody is there, and this is the answer.
    Asked(&'static str),
    /// Nothing that is checked: presence, typing.
    Signal,
}

/// Something that a newcomer asks for, in text, and the id of its answer.
pub(crate) struct Greeting {
    pub(crate) request: u64,
    pub(crate) text: String,
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

    /// Whether a frame may hold several things that the server said, a line each.
    pub(crate) const fn speaks_in_lines(self) -> bool {
        matches!(self, Self::Centrifugo)
    }

    /// Reads what the server said.
    ///
    /// # Errors
    /// When the bytes are not of this dialect.
    pub(crate) fn decode(self, payload: &[u8], known: Known<'_>) -> anyhow::Result<Incoming> {
        let messages = known.messages;
        match self {
            Self::Bobchat(format) => bobchat::decode(payload, format, messages),
            Self::Floor => floor::decode(payload),
            Self::Baseline => {
                let text = std::str::from_utf8(payload).context("the baseline sent what is no text")?;
                baseline::decode(text, messages)
            }
            Self::SocketIo => {
                let text = std::str::from_utf8(payload).context("Socket.IO sent what is no text")?;
                socketio::decode(text, messages)
            }
            Self::Centrifugo => centrifugo::decode(payload, messages),
            Self::Tinode => tinode::decode(payload, known),
        }
    }

    /// What a newcomer asks for, one after the other, before `room` is received: nothing where the protocol of
    /// `bobchat-proto` is spoken, or entering takes no text.
    pub(crate) fn greetings(self, room: u64, messages: &Messages) -> Vec<Greeting> {
        match self {
            Self::Bobchat(_) | Self::Floor | Self::Baseline => Vec::new(),
            Self::SocketIo => socketio::greetings(room).into(),
            Self::Centrifugo => centrifugo::greetings(room, messages).into(),
            Self::Tinode => tinode::greetings().into(),
        }
    }

    /// What enters `room` after the greetings, where the server names rooms: by its name, or what makes the room. Others
    /// have entered with the greetings.
    pub(crate) fn entrance(self, room: u64, name: Option<&str>) -> Option<Greeting> {
        match self {
            Self::Tinode => Some(tinode::entrance(room, name)),
            Self::Bobchat(_) | Self::Floor | Self::Baseline | Self::SocketIo | Self::Centrifugo => None,
        }
    }

    /// Where the WebSocket is, and its subprotocol; the floor has none. Only Tinode wants an API key.
    pub(crate) fn endpoint(self, room: u64, api_key: Option<&str>) -> Option<(String, Option<&'static str>)> {
        Some(match self {
            Self::Bobchat(format) => ("/api/v1/ws".to_owned(), Some(format.subprotocol())),
            Self::Floor => return None,
            Self::Baseline => (format!("/ws/{room}"), None),
            Self::SocketIo => (socketio::PATH.to_owned(), None),
            Self::Centrifugo => (centrifugo::PATH.to_owned(), None),
            Self::Tinode => (format!("{}{}", tinode::PATH, api_key.unwrap_or(TINODE_API_KEY)), None),
        })
    }

    /// What a target of this dialect begins with.
    pub(crate) const fn scheme(self) -> &'static str {
        match self {
            Self::Bobchat(_) => "http",
            Self::Floor => "floor",
            Self::Baseline => "baseline",
            Self::SocketIo => "socketio",
            Self::Centrifugo => "centrifugo",
            Self::Tinode => "tinode",
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
        known: Known<'_>,
    ) {
        let messages = known.messages;
        match self {
            Self::Bobchat(format) => {
                let made_at = (attempt == Attempt::First).then(crate::time::wall_micros);
                let send = wire::MessageSend { room, key: messages.key(index), text: messages.text(index), made_at };
                let request = wire::client_frame::Request::MessageSend(send);
                bobchat::write(out, mask, request_of(index), request, format);
            }
            Self::Floor => floor::write_send(out, room, index, &messages.text(index)),
            Self::Baseline => write_text(out, mask, &baseline::send_text(index, messages)),
            Self::SocketIo => write_text(out, mask, &socketio::send_text(room, index, messages)),
            Self::Centrifugo => write_text(out, mask, &centrifugo::send_text(room, index, messages)),
            // Without a name nobody is in the room: it is posted when somebody is.
            Self::Tinode => {
                if let Some(text) = tinode::send_text(room, index, known) {
                    write_text(out, mask, &text);
                }
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

    /// How long a text is. The floor and the baseline stand for what Bobchat does: their deliveries take as many bytes
    /// as Bobchat's. Others get the same text, and what they put around it is theirs.
    pub(crate) fn text_bytes(self, bytes: usize) -> usize {
        let delivered = event_frame_bytes(bytes);
        match self {
            Self::Bobchat(_) | Self::SocketIo | Self::Centrifugo | Self::Tinode => bytes,
            Self::Floor => delivered.saturating_sub(FLOOR_HEADER_BYTES),
            Self::Baseline => delivered.saturating_sub(baseline::OVERHEAD_BYTES),
        }
    }

    /// Whether the server acks what was posted. The baseline does not: tutorials stop before that. The
    /// floor does where it stores.
    pub(crate) const fn acks(self) -> bool {
        matches!(self, Self::Bobchat(_) | Self::SocketIo | Self::Centrifugo | Self::Tinode)
    }

    /// Whether acks say where messages stand, so that they tell what is still to be delivered.
    pub(crate) const fn acks_say_where(self) -> bool {
        !matches!(self, Self::Centrifugo)
    }
}

fn write_text(out: &mut BytesMut, mask: [u8; 4], text: &str) {
    ws::write_masked(out, ws::Opcode::Text, mask, text.as_bytes());
}

/// The request that entering a room counts as where the dialect numbers none; where a connection comes before a room,
/// that.
pub(crate) const ENTER_REQUEST: u64 = 1;

/// The request that enters a room where a connection comes before it. Odd, as everything but posts.
const JOIN_REQUEST: u64 = 3;

/// The answer to entering a room, in the words of Bobchat's protocol.
fn joined(request: u64, room: u64, seq: u64) -> Incoming {
    let head = Some(wire::Position { epoch: 1, seq });
    let subscribed = wire::SubscribeOk { room, head, reset: None, error: None };
    Incoming::Answer { request, result: Ok(Box::new(wire::ok::Result::Subscribe(subscribed))) }
}

/// The answer to connecting, where a room is entered after that.
fn connected() -> Incoming {
    done(ENTER_REQUEST)
}

/// The answer to what a newcomer asked for, where nothing is told but that it was done.
fn done(request: u64) -> Incoming {
    let done = wire::ok::Result::Ping(wire::PingOk::default());
    Incoming::Answer { request, result: Ok(Box::new(done)) }
}

/// A message at a position of a dialect that knows rooms and positions, and nothing else that is checked.
fn event(room: u64, seq: u64, index: Option<u64>, text: String) -> Incoming {
    let said = Some(Said { index, ordinal: None, text });
    let at = i64::try_from(seq).unwrap_or(i64::MAX);
    Incoming::Event(Delivery { room, epoch: 1, seq, id: seq, at, author: 0, said })
}
