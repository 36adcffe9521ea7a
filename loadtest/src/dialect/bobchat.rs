//! Bobchat's own protocol, as `bobchat-proto` defines it.

use anyhow::Context as _;
use bobchat_proto::codec::{self, Format};
use bobchat_proto::wire::{self, client_frame::Request, event, server_frame::Body};
use bytes::BytesMut;

use super::{Delivery, Incoming, Placed, Said};
use crate::check::Head;
use crate::message::Messages;
use crate::ws::{self, Opcode};

/// The request id of a post: even, and never 0. Other requests have odd ids, so that an answer tells by
/// itself what it belongs to.
pub(crate) const fn request_of(index: u64) -> u64 {
    2 * (index + 1)
}

/// The message that a request posted.
pub(super) const fn index_of(request: u64) -> Option<u64> {
    if request >= 2 && request.is_multiple_of(2) { Some(request / 2 - 1) } else { None }
}

pub(super) fn write(out: &mut BytesMut, mask: [u8; 4], id: u64, request: Request, format: Format) {
    let mut payload = BytesMut::new();
    codec::encode_client_frame(&wire::ClientFrame { id, request: Some(request) }, format, &mut payload);
    let opcode = match format {
        Format::Json => Opcode::Text,
        Format::Protobuf => Opcode::Binary,
    };
    ws::write_masked(out, opcode, mask, &payload);
}

pub(super) fn decode(payload: &[u8], format: Format, messages: &Messages) -> anyhow::Result<Incoming> {
    let frame = codec::decode_server_frame(payload, format)?;
    let body = frame.body.context("a frame without a body")?;
    Ok(match (body, frame.id) {
        (Body::Event(event), _) => Incoming::Event(delivery(event, messages)),
        (Body::Ok(ok), Some(request)) => answer(request, ok)?,
        (Body::Error(error), Some(request)) => match index_of(request) {
            Some(index) => Incoming::Refused { index, error },
            None => Incoming::Answer { request, result: Err(error) },
        },
        (Body::Error(error), None) => Incoming::Failure(error),
        (Body::Ok(_), None) => anyhow::bail!("an answer without the id of its request"),
        (Body::Reset(reset), _) => {
            let head = reset.head.context("a reset without a head")?;
            Incoming::Reset { room: reset.room, head: Head { epoch: head.epoch, seq: head.seq } }
        }
        (Body::Typing(_) | Body::Presence(_) | Body::Membership(_), _) => Incoming::Signal,
    })
}

fn answer(request: u64, ok: wire::Ok) -> anyhow::Result<Incoming> {
    let result = ok.result.context("an answer without a result")?;
    Ok(match (index_of(request), result) {
        (Some(index), wire::ok::Result::MessageSend(ack)) => {
            let seq = ack.position.context("an ack without a position")?.seq;
            Incoming::Ack { index, placed: Some(Placed { room: ack.room, seq, id: ack.id }) }
        }
        (Some(_), _) => anyhow::bail!("a post was answered with something else than an ack"),
        (None, result) => Incoming::Answer { request, result: Ok(Box::new(result)) },
    })
}

/// An event as a receiver or a page has it.
pub(crate) fn delivery(event: wire::Event, messages: &Messages) -> Delivery {
    let said = match event.body {
        Some(event::Body::Message(message)) => Some(Said {
            index: event.key.as_deref().and_then(|key| messages.index(key)),
            ordinal: event.ordinal,
            text: message.text,
        }),
        _ => None,
    };
    let wire::Event { room, epoch, seq, id, at, author, .. } = event;
    Delivery { room, epoch, seq, id, at, author, said }
}

/// The bytes that a typical delivery takes on the wire, its WebSocket header included.
pub(crate) fn event_frame_bytes(text_bytes: usize) -> usize {
    let event = wire::Event {
        room: 1,
        epoch: 1,
        seq: 10_000,
        at: 1_800_000_000_000_000,
        id: 1,
        author: 1,
        ordinal: Some(10_000),
        key: Some("01234567-10000".to_owned()),
        body: Some(event::Body::Message(wire::Message { text: "x".repeat(text_bytes) })),
        ..wire::Event::default()
    };
    let mut payload = BytesMut::new();
    let frame = wire::ServerFrame { id: None, body: Some(Body::Event(event)) };
    codec::encode_server_frame(&frame, Format::Protobuf, &mut payload);
    let header = if payload.len() < 126 { 2 } else { 4 };
    header + payload.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_tells_a_post_from_everything_else() {
        assert_eq!([0, 1, 2, 3, 2 * 8].map(index_of), [None, None, Some(0), None, Some(7)]);
        assert_eq!(index_of(request_of(7)), Some(7));
    }
}
