//! The outer form of what the server sends: WebSocket frames, unmasked and unfragmented (RFC 6455
//! section 5.2).

use bobchat_proto::codec::{Format, encode_server_frame};
use bobchat_proto::error::CloseCode;
use bobchat_proto::wire::{self, server_frame::Body};
use bytes::{BufMut as _, Bytes, BytesMut};

/// FIN, and the opcode of a text frame.
pub const TEXT: u8 = 0x81;
/// FIN, and the opcode of a binary frame.
pub const BINARY: u8 = 0x82;
/// FIN, and the opcode of a close frame.
const CLOSE: u8 = 0x88;
/// FIN, and the opcode of a pong.
const PONG: u8 = 0x8A;

/// A ping without payload: the heartbeat.
pub const PING: Bytes = Bytes::from_static(&[0x89, 0]);

/// What a frame usually needs; longer ones grow.
const PAYLOAD_BYTES_USUAL: usize = 512;

/// Appends `body` as one frame to `out`.
pub fn append(id: Option<u64>, body: Body, format: Format, out: &mut BytesMut) {
    append_frame(&wire::ServerFrame { id, body: Some(body) }, format, out);
}

/// Appends `server_frame` as one WebSocket frame to `out`.
pub fn append_frame(server_frame: &wire::ServerFrame, format: Format, out: &mut BytesMut) {
    let mut payload = BytesMut::with_capacity(PAYLOAD_BYTES_USUAL);
    encode_server_frame(server_frame, format, &mut payload);
    let opcode = match format {
        Format::Json => TEXT,
        Format::Protobuf => BINARY,
    };
    append_raw(opcode, &payload, out);
}

/// Appends one WebSocket frame whose first byte is `first`, such as [`TEXT`], around `payload`.
pub fn append_raw(first: u8, payload: &[u8], out: &mut BytesMut) {
    append_header(first, payload.len(), out);
    out.extend_from_slice(payload);
}

/// One frame on its own.
#[must_use]
pub fn single(id: Option<u64>, body: Body, format: Format) -> Bytes {
    let mut out = BytesMut::new();
    append(id, body, format, &mut out);
    out.freeze()
}

/// A close frame with its reason.
#[must_use]
pub fn close(code: CloseCode) -> Bytes {
    let mut out = BytesMut::with_capacity(64);
    append_header(CLOSE, code.reason().len().saturating_add(2), &mut out);
    out.put_u16(code.code());
    out.extend_from_slice(code.reason().as_bytes());
    out.freeze()
}

/// The answer to a ping.
#[must_use]
pub fn pong(payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(payload.len().saturating_add(2));
    append_raw(PONG, payload, &mut out);
    out.freeze()
}

fn append_header(first: u8, length: usize, out: &mut BytesMut) {
    out.reserve(length.saturating_add(10));
    out.put_u8(first);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => out.put_u8(short),
        (_, Ok(medium)) => {
            out.put_u8(126);
            out.put_u16(medium);
        }
        _ => {
            out.put_u8(127);
            out.put_u64(length as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_takes_as_few_bytes_as_it_can() {
        for (length, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut out = BytesMut::new();
            append_header(TEXT, length, &mut out);
            assert_eq!(out.len(), header, "{length}");
        }
    }

    #[test]
    fn a_close_frame_carries_code_and_reason() {
        assert_eq!(&close(CloseCode::SlowConsumer)[..], b"\x88\x0f\x0f\xa8slow consumer");
    }
}
