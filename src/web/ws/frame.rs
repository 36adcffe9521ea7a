//! The frame format of RFC 6455 section 5.2: heads read strictly, payloads unmasked, frames written.
//!
//! What a frame means in the course of a connection is for [`super::guard`] to judge.

use bobchat_proto::error::CloseCode;
use bytes::{BufMut, BytesMut};

use super::guard::Violation;

/// The payload of a control frame at most (RFC 6455 section 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

/// The head of a frame at most, without the masking key: two bytes and a 64-bit length.
pub(super) const HEAD_BYTES_MAX: usize = 10;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// A further fragment of the message begun before.
    Continuation,
    /// Text: a message in JSON.
    Text,
    /// Bytes: a message in protobuf.
    Binary,
    /// The end of the connection.
    Close,
    /// A question whether the other side lives.
    Ping,
    /// The answer to a ping.
    Pong,
}

impl Opcode {
    const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// Whether it belongs to the connection and not to a message.
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

const FINAL: u8 = 0b1000_0000;
const RESERVED: u8 = 0b0111_0000;
const OPCODE: u8 = 0b0000_1111;
const MASKED: u8 = 0b1000_0000;
const LENGTH: u8 = 0b0111_1111;
/// This in the length bits: the length is the next two bytes.
const LENGTH_16: u8 = 126;
/// This in the length bits: the length is the next eight bytes.
const LENGTH_64: u8 = 127;

/// What stands before the masking key of a client's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Whether this frame ends its message.
    pub(super) is_final: bool,
    pub(super) opcode: Opcode,
    /// The length that the frame declares; nothing of it has come yet.
    pub(super) length: u64,
}

/// What came of reading a head.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeadRead {
    /// All of it is there.
    Complete(Head),
    /// It goes on: this many bytes in all are needed to know more.
    Needs(usize),
}

impl Head {
    /// Reads a head from the bytes of it that have come. Each byte is judged before the one after it is
    /// looked at, so that the outcome does not depend on how the bytes were cut.
    pub(super) fn read(bytes: &[u8]) -> Result<HeadRead, Violation> {
        let [first, rest @ ..] = bytes else { return Ok(HeadRead::Needs(2)) };
        let is_final = first & FINAL != 0;
        if first & RESERVED != 0 {
            return Err(Violation::ReservedBits);
        }
        let opcode = Opcode::from_bits(first & OPCODE).ok_or(Violation::ReservedOpcode)?;
        if opcode.is_control() && !is_final {
            return Err(Violation::FragmentedControl);
        }
        let [second, extended @ ..] = rest else { return Ok(HeadRead::Needs(2)) };
        if second & MASKED == 0 {
            return Err(Violation::Unmasked);
        }
        let short = second & LENGTH;
        if opcode.is_control() && usize::from(short) > CONTROL_BYTES_MAX {
            return Err(Violation::LongControl);
        }
        Ok(match read_length(short, extended)? {
            Some(length) => HeadRead::Complete(Self { is_final, opcode, length }),
            None => HeadRead::Needs(if short == LENGTH_16 { 4 } else { HEAD_BYTES_MAX }),
        })
    }
}

/// Reads the length; `None` when its bytes have not come yet.
fn read_length(short: u8, extended: &[u8]) -> Result<Option<u64>, Violation> {
    let (length, shortest) = match short {
        LENGTH_16 => (extended.first_chunk().map(|bytes| u64::from(u16::from_be_bytes(*bytes))), u64::from(LENGTH_16)),
        LENGTH_64 => (extended.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)), 1 << 16),
        short => (Some(u64::from(short)), 0),
    };
    match length {
        Some(length) if length < shortest => Err(Violation::LengthNotMinimal),
        // The most significant bit must be 0 (section 5.2): nothing may take the length for a signed one.
        Some(length) if length > i64::MAX as u64 => Err(Violation::LengthNotMinimal),
        length => Ok(length),
    }
}

/// Undoes the masking of `payload`, whose first byte is at `offset` in its frame.
///
/// Eight bytes at a time: the compiler makes wider ones of them, and unmasking stays far below the cost
/// of reading the bytes from the socket.
pub(super) fn unmask(payload: &mut [u8], mut mask: [u8; 4], offset: usize) {
    mask.rotate_left(offset % 4);
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// Appends one whole frame of the server to `out`: final and, as section 5.1 asks of servers, unmasked.
///
/// The payload of a control frame is the caller's to keep within [`CONTROL_BYTES_MAX`].
pub fn encode_frame(opcode: Opcode, payload: &[u8], out: &mut BytesMut) {
    debug_assert!(!opcode.is_control() || payload.len() <= CONTROL_BYTES_MAX, "clients would refuse this frame");
    out.reserve(HEAD_BYTES_MAX + payload.len());
    out.put_u8(FINAL | opcode.bits());
    match payload.len() {
        length @ 0..126 => out.put_u8(length as u8),
        length @ 126..=0xFFFF => {
            out.put_u8(LENGTH_16);
            out.put_u16(length as u16);
        }
        length => {
            out.put_u8(LENGTH_64);
            out.put_u64(length as u64);
        }
    }
    out.extend_from_slice(payload);
}

/// Appends the close frame that says `code` and its reason.
pub fn encode_close(code: CloseCode, out: &mut BytesMut) {
    encode_close_payload(code.code(), code.reason().as_bytes(), out);
}

/// Appends the close frame that answers a client's: with its code, or empty as the client's was.
pub fn encode_close_answer(code: Option<u16>, out: &mut BytesMut) {
    match code {
        Some(code) => encode_close_payload(code, &[], out),
        None => encode_frame(Opcode::Close, &[], out),
    }
}

fn encode_close_payload(code: u16, reason: &[u8], out: &mut BytesMut) {
    let mut payload = BytesMut::with_capacity(2 + reason.len());
    payload.put_u16(code);
    payload.extend_from_slice(reason);
    encode_frame(Opcode::Close, &payload, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_server_frame_has_the_shortest_length_and_no_mask() {
        for (length, head) in [
            (0, vec![0x82, 0]),
            (125, vec![0x82, 125]),
            (126, vec![0x82, 126, 0, 126]),
            (65_535, vec![0x82, 126, 0xFF, 0xFF]),
            (65_536, vec![0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = BytesMut::new();
            encode_frame(Opcode::Binary, &vec![7; length], &mut out);
            assert_eq!(out[..head.len()], head, "{length}");
            assert_eq!(out.len(), head.len() + length);
            assert!(out[head.len()..].iter().all(|byte| *byte == 7));
        }
    }

    #[test]
    fn a_close_frame_carries_code_and_reason() {
        let mut out = BytesMut::new();
        encode_close(CloseCode::SlowConsumer, &mut out);
        assert_eq!(out.as_ref(), b"\x88\x0f\x0f\xa8slow consumer");
        for code in CloseCode::ALL {
            assert!(code.reason().len() + 2 <= CONTROL_BYTES_MAX, "{code:?}");
        }
    }

    #[test]
    fn a_close_is_answered_with_the_code_it_had() {
        let mut out = BytesMut::new();
        encode_close_answer(Some(1001), &mut out);
        encode_close_answer(None, &mut out);
        assert_eq!(out.as_ref(), b"\x88\x02\x03\xe9\x88\x00");
    }

    #[test]
    fn every_opcode_is_read_back() {
        for bits in 0..=0xF {
            if let Some(opcode) = Opcode::from_bits(bits) {
                assert_eq!(opcode.bits(), bits);
            }
        }
    }

    proptest! {
        #[test]
        fn unmasking_by_words_is_unmasking_by_bytes(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            mask: [u8; 4],
            offset in 0_usize..9,
        ) {
            let mut by_words = bytes.clone();
            unmask(&mut by_words, mask, offset);
            let by_bytes: Vec<u8> =
                bytes.iter().enumerate().map(|(at, byte)| byte ^ mask[(offset + at) % 4]).collect();
            prop_assert_eq!(by_words, by_bytes);
        }
    }
}
