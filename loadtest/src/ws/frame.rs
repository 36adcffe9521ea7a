//! Frames as a client sees them: unmasked from the server, masked to it.

use anyhow::{Context as _, ensure};
use bytes::{BufMut as _, BytesMut};

/// No frame of the protocol comes near this; a longer one is a fault, not something to wait for.
const PAYLOAD_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What a frame carries (RFC 6455 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opcode {
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    const fn bits(self) -> u8 {
        match self {
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    fn from_bits(bits: u8) -> anyhow::Result<Self> {
        let all = [Self::Text, Self::Binary, Self::Close, Self::Ping, Self::Pong];
        all.into_iter().find(|opcode| opcode.bits() == bits).with_context(|| format!("the frame has opcode {bits}"))
    }
}

/// One whole frame inside a chunk that was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// What the payload is.
    pub(crate) opcode: Opcode,
    /// The payload, still where it was read.
    pub(crate) payload: &'a [u8],
    /// How many bytes of the chunk the frame takes.
    pub(crate) length: usize,
}

/// Reads the first frame of `chunk`; `None` when it has not arrived whole.
///
/// # Errors
/// When a server must not send such a frame. Bobchat does not fragment, so a fragment is one of them.
pub(crate) fn parse(chunk: &[u8]) -> anyhow::Result<Option<Frame<'_>>> {
    let [first, second, rest @ ..] = chunk else { return Ok(None) };
    ensure!(first & 0x80 != 0, "the server sent a fragment");
    ensure!(first & 0x70 == 0, "the server set a reserved bit");
    ensure!(second & 0x80 == 0, "the server masked a frame");
    let opcode = Opcode::from_bits(first & 0x0f)?;
    let (declared, rest) = match second {
        126 => match rest.split_first_chunk() {
            Some((bytes, rest)) => (u64::from(u16::from_be_bytes(*bytes)), rest),
            None => return Ok(None),
        },
        127 => match rest.split_first_chunk() {
            Some((bytes, rest)) => (u64::from_be_bytes(*bytes), rest),
            None => return Ok(None),
        },
        short => (u64::from(*short), rest),
    };
    ensure!(declared <= PAYLOAD_BYTES_MAX, "the server declared a frame of {declared} bytes");
    let Some(payload) = usize::try_from(declared).ok().and_then(|length| rest.get(..length)) else { return Ok(None) };
    Ok(Some(Frame { opcode, payload, length: chunk.len() - rest.len() + payload.len() }))
}

/// Appends a frame to `out`, masked as every frame of a client.
pub(crate) fn write_masked(out: &mut BytesMut, opcode: Opcode, mask: [u8; 4], payload: &[u8]) {
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
pub(crate) struct Masker(u64);

impl Masker {
    /// Starts a sequence that `seed` names.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next mask: SplitMix64 (Steele, Lea and Flood 2014).
    pub(crate) const fn next(&mut self) -> [u8; 4] {
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
            let expected = Frame { opcode: Opcode::Binary, payload: &payload, length: bytes.len() };
            assert_eq!(parse(&bytes).unwrap(), Some(expected));
            assert_eq!(parse(&bytes[..bytes.len() - 1]).unwrap(), None, "{length} bytes, one missing");
        }
    }

    #[test]
    fn what_a_server_must_not_send_is_an_error() {
        let cases: [&[u8]; 5] =
            [&[0x02, 0], &[0xc2, 0], &[0x82, 0x80], &[0x83, 0], &[0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0]];
        for bytes in cases {
            assert!(parse(bytes).is_err(), "{bytes:?}");
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
