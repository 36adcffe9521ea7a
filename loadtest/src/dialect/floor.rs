//! The floor's protocol: a fixed header before bytes, all numbers little-endian. The server changes two
//! fields of what it receives and sends the same bytes on; it cannot do less.

use anyhow::ensure;
use bytes::{BufMut as _, BytesMut};

use super::{Incoming, Placed};

/// `length u32, kind u32, room u64, seq u64, index u64`; the length counts the header too.
pub(crate) const HEADER_BYTES: usize = 32;

/// As many bytes as an ack of Bobchat's protocol takes in protobuf.
pub(crate) const ACK_BYTES: usize = 48;

const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// From a client: receive this room; the answer is the same with the room's seq.
    Join,
    /// From a client: a message.
    Send,
    /// From the server: a message.
    Event,
    /// From the server: a message was stored.
    Ack,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Join, Self::Send, Self::Event, Self::Ack];
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) length: usize,
    pub(crate) kind: Kind,
    pub(crate) room: u64,
    pub(crate) seq: u64,
    pub(crate) index: u64,
}

impl Header {
    /// Reads a header; `None` when it has not arrived whole.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn read(bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some((length, rest)) = bytes.split_first_chunk() else { return Ok(None) };
        let Some((kind, rest)) = rest.split_first_chunk() else { return Ok(None) };
        let Some((room, rest)) = rest.split_first_chunk() else { return Ok(None) };
        let Some((seq, rest)) = rest.split_first_chunk() else { return Ok(None) };
        let Some((index, _)) = rest.split_first_chunk() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        ensure!((HEADER_BYTES..=FRAME_BYTES_MAX).contains(&length), "a frame of {length} bytes");
        let code = u32::from_le_bytes(*kind);
        let kind = Kind::ALL.into_iter().find(|kind| *kind as u32 == code);
        let Some(kind) = kind else { anyhow::bail!("a frame of kind {code}") };
        Ok(Some(Self {
            length,
            kind,
            room: u64::from_le_bytes(*room),
            seq: u64::from_le_bytes(*seq),
            index: u64::from_le_bytes(*index),
        }))
    }

    /// The header's bytes.
    pub(crate) fn bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut out = bytes.as_mut_slice();
        out.put_u32_le(u32::try_from(self.length).unwrap_or(u32::MAX));
        out.put_u32_le(self.kind as u32);
        out.put_u64_le(self.room);
        out.put_u64_le(self.seq);
        out.put_u64_le(self.index);
        bytes
    }
}

/// The first frame of `chunk`, header included.
pub(super) fn split(chunk: &[u8]) -> anyhow::Result<Option<&[u8]>> {
    Ok(Header::read(chunk)?.and_then(|header| chunk.get(..header.length)))
}

pub(super) fn decode(frame: &[u8]) -> anyhow::Result<Incoming> {
    let Some(header) = Header::read(frame)? else { anyhow::bail!("a frame without a header") };
    let Header { kind, room, seq, index, .. } = header;
    match kind {
        Kind::Event => {
            let text = frame.get(HEADER_BYTES..).map(String::from_utf8_lossy).unwrap_or_default().into_owned();
            Ok(super::event(room, seq, Some(index), text))
        }
        // An event and its ack must agree on the identifier; the floor has none but the seq.
        Kind::Ack => Ok(Incoming::Ack { index, placed: Some(Placed { room, seq, id: seq }) }),
        Kind::Join => Ok(super::joined(super::ENTER_REQUEST, room, seq)),
        Kind::Send => anyhow::bail!("the floor sent what only clients send"),
    }
}

pub(super) fn write_send(out: &mut BytesMut, room: u64, index: u64, text: &str) {
    let length = HEADER_BYTES + text.len();
    out.put_slice(&Header { length, kind: Kind::Send, room, seq: 0, index }.bytes());
    out.put_slice(text.as_bytes());
}
