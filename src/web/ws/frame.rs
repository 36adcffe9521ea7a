//! The frames of clients as RFC 6455 section 5.2 has them: heads read strictly, payloads unmasked.
//!
//! What a frame means in the course of a connection is for [`super::guard`] to judge. The server's own
//! frames are written in [`bobchat_actors::session::frame`].

use super::guard::Violation;

/// The payload of a control frame at most (RFC 6455 section 5.5).
pub(super) const CONTROL_BYTES_MAX: usize = 125;

/// The head of a frame at most, without the masking key: two bytes and a 64-bit length.
pub(super) const HEAD_BYTES_MAX: usize = 10;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Opcode {
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
    pub(super) const fn is_control(self) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
