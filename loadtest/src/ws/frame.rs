//! Frames as a client sees them: unmasked from the server, masked to it.

use bytes::{BufMut as _, BytesMut};

/// No message of the protocol comes near this; a longer one is a fault, not something to wait for.
pub(super) const MESSAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The payload of a control frame at most (RFC 6455 section 5.5).
const CONTROL_BYTES_MAX: u64 = 125;

/// What a frame carries (RFC 6455 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// A further fragment of the message begun before.
    Continuation,
    /// Text.
    Text,
    /// Bytes.
    Binary,
    /// The end of the connection.
    Close,
    /// A question whether the other side lives.
    Ping,
    /// The answer to it.
    Pong,
}

impl Opcode {
    const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    fn from_bits(bits: u8) -> Option<Self> {
        let all = [Self::Continuation, Self::Text, Self::Binary, Self::Close, Self::Ping, Self::Pong];
        all.into_iter().find(|opcode| opcode.bits() == bits)
    }

    const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// What a server must not send. The connection ends; a close frame with [`Violation::code`] says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server {what}")]
pub struct Violation {
    /// The close code that names it (RFC 6455 section 7.4.1).
    pub code: u16,
    what: &'static str,
}

impl Violation {
    /// The rules of framing are broken.
    pub(super) const fn protocol(what: &'static str) -> Self {
        Self { code: 1002, what }
    }

    /// Text is not UTF-8.
    pub(super) const NOT_UTF8: Self = Self { code: 1007, what: "sent text that is not UTF-8" };

    /// A message is longer than any that is waited for.
    pub(super) const TOO_LARGE: Self = Self { code: 1009, what: "declared a message of more than 16 MiB" };
}

/// One whole frame inside a chunk that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// Whether it ends its message.
    pub(super) is_final: bool,
    /// What the payload is.
    pub(super) opcode: Opcode,
    /// The payload, still where it was read.
    pub(super) payload: &'a [u8],
    /// How many bytes of the chunk the frame takes.
    pub(super) length: usize,
}

/// Reads the first frame of `chunk`; `None` when it has not arrived whole. What its head alone shows to be
/// wrong is told before the rest has come.
///
/// # Errors
/// When a server must not send such a frame.
pub(super) fn parse(chunk: &[u8]) -> Result<Option<Frame<'_>>, Violation> {
    let [first, second, rest @ ..] = chunk else { return Ok(None) };
    let is_final = first & 0x80 != 0;
    if first & 0x70 != 0 {
        return Err(Violation::protocol("set a reserved bit"));
    }
    let opcode = Opcode::from_bits(first & 0x0f).ok_or(Violation::protocol("sent a reserved opcode"))?;
    if second & 0x80 != 0 {
        return Err(Violation::protocol("masked a frame"));
    }
    if opcode.is_control() && (!is_final || u64::from(*second) > CONTROL_BYTES_MAX) {
        return Err(Violation::protocol("sent a control frame that is long or in fragments"));
    }
    let Some((declared, rest)) = length(*second, rest)? else { return Ok(None) };
    if declared > MESSAGE_BYTES_MAX {
        return Err(Violation::TOO_LARGE);
    }
    let Some(payload) = usize::try_from(declared).ok().and_then(|length| rest.get(..length)) else { return Ok(None) };
    Ok(Some(Frame { is_final, opcode, payload, length: chunk.len() - rest.len() + payload.len() }))
}

/// The length that a head declares, and what follows it; `None` when it has not arrived whole.
fn length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, Violation> {
    let (declared, least, rest) = match short {
        126 => match rest.split_first_chunk() {
            Some((bytes, rest)) => (u64::from(u16::from_be_bytes(*bytes)), 126, rest),
            None => return Ok(None),
        },
        127 => match rest.split_first_chunk() {
            Some((bytes, rest)) => (u64::from_be_bytes(*bytes), 1 << 16, rest),
            None => return Ok(None),
        },
        short => (u64::from(short), 0, rest),
    };
    // Section 5.2: the shortest form is used.
    if declared < least {
        Err(Violation::protocol("wrote a length longer than need be"))
    } else {
        Ok(Some((declared, rest)))
    }
}

/// Appends a frame to `out`, masked as every frame of a client.
pub fn write_masked(out: &mut BytesMut, opcode: Opcode, mask: [u8; 4], payload: &[u8]) {
    out.reserve(payload.len() + 14);
    out.put_u8(0x80 | opcode.bits());
    match payload.len() {
        short @ 0..=125 => out.put_u8(0x80 | u8::try_from(short).unwrap_or_default()),
        medium @ 126..=65_535 => {
            out.put_u8(0x80 | 126);
            out.put_u16(u16::try_from(medium).unwrap_or_default());
        }
        long => {
            out.put_u8(0x80 | 127);
            out.put_u64(long as u64);
        }
    }
    out.put_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// Makes the masks of one connection. Masks protect proxies from scripts that choose what is sent;
/// a harness chooses nothing hostile, so a seeded sequence is random enough.
#[derive(Debug)]
pub struct Masker(u64);

impl Masker {
    /// Starts a sequence that `seed` names.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next mask: SplitMix64 (Steele, Lea and Flood 2014).
    pub const fn next(&mut self) -> [u8; 4] {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) as u32).to_ne_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_frame(payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x82];
        match payload.len() {
            short @ 0..=125 => bytes.push(short as u8),
            medium @ 126..=65_535 => {
                bytes.push(126);
                bytes.extend((medium as u16).to_be_bytes());
            }
            long => {
                bytes.push(127);
                bytes.extend((long as u64).to_be_bytes());
            }
        }
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn a_frame_is_read_when_it_is_whole_and_not_before() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![7; length];
            let bytes = server_frame(&payload);
            let expected = Frame { is_final: true, opcode: Opcode::Binary, payload: &payload, length: bytes.len() };
            assert_eq!(parse(&bytes), Ok(Some(expected)));
            assert_eq!(parse(&bytes[..bytes.len() - 1]), Ok(None), "{length} bytes, one missing");
        }
    }

    #[test]
    fn what_a_server_must_not_send_is_an_error() {
        let cases: [(&[u8], u16); 10] = [
            (&[0xc2, 0], 1002),
            (&[0x92, 0], 1002),
            (&[0x83, 0], 1002),
            (&[0x8b, 0], 1002),
            (&[0x82, 0x80], 1002),
            (&[0x09, 0], 1002),
            (&[0x89, 126], 1002),
            (&[0x82, 126, 0, 125], 1002),
            (&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], 1002),
            (&[0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0], 1009),
        ];
        for (bytes, code) in cases {
            assert_eq!(parse(bytes).unwrap_err().code, code, "{bytes:?}");
        }
    }

    #[test]
    fn masking_twice_gives_the_payload_back() {
        let mut out = BytesMut::new();
        let mask = Masker::new(1).next();
        write_masked(&mut out, Opcode::Text, mask, b"hello");
        let unmasked: Vec<u8> = out[6..].iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        assert_eq!((&out[..2], unmasked.as_slice()), ([0x81, 0x85].as_slice(), b"hello".as_slice()));
    }
}
