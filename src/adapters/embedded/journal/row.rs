//! One row that an append of messages puts into a table.

/// A row of a table of the log: all that the journal knows of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Row<'a> {
    /// Of `HEADS`: room, record.
    Head(u64, &'a [u8]),
    /// Of `MESSAGES`: room, seq, record.
    Message(u64, u64, &'a [u8]),
    /// Of `KEYS`: key, record.
    Key(&'a [u8], &'a [u8]),
}

/// How the kinds are told apart on disk. Never reused: an older journal may be replayed.
const HEAD: u8 = 1;
const MESSAGE: u8 = 2;
const KEY: u8 = 3;

impl<'a> Row<'a> {
    /// Kind, key, length of the value, value.
    pub(super) fn encode(self, out: &mut Vec<u8>) {
        let value = match self {
            Self::Head(room, value) => {
                out.push(HEAD);
                out.extend(room.to_le_bytes());
                value
            }
            Self::Message(room, seq, value) => {
                out.push(MESSAGE);
                out.extend(room.to_le_bytes());
                out.extend(seq.to_le_bytes());
                value
            }
            Self::Key(key, value) => {
                out.push(KEY);
                put_bytes(out, key);
                value
            }
        };
        put_bytes(out, value);
    }

    /// Reads rows until the end, or until a `None`: there is something that is no row.
    pub(super) fn decode_all(mut bytes: &'a [u8]) -> impl Iterator<Item = Option<Self>> {
        std::iter::from_fn(move || {
            if bytes.is_empty() {
                return None;
            }
            let row = Self::decode(&mut bytes);
            if row.is_none() {
                bytes = &[];
            }
            Some(row)
        })
    }

    fn decode(bytes: &mut &'a [u8]) -> Option<Self> {
        match *bytes.split_off_first()? {
            HEAD => Some(Self::Head(number(bytes)?, value(bytes)?)),
            MESSAGE => Some(Self::Message(number(bytes)?, number(bytes)?, value(bytes)?)),
            KEY => Some(Self::Key(value(bytes)?, value(bytes)?)),
            _ => None,
        }
    }
}

/// A value is a part of a record, whose length has 64 bits: so has its own.
fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*number))
}

fn value<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(number(bytes)?).ok()?;
    bytes.split_off(..length)
}
