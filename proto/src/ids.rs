//! Identifiers and positions. Parsed once at the edge; inside, a value of the type is valid.

use std::fmt;
use std::str::FromStr;

use crate::wire;

/// Why a text is not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier: expected a decimal number from 1 to 9223372036854775807")]
pub struct InvalidId;

/// Reads an identifier as it stands in JSON and in paths: decimal digits without sign or leading zero.
pub(crate) fn parse_raw(text: &str) -> Result<u64, InvalidId> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || text.starts_with('0') {
        return Err(InvalidId);
    }
    text.parse().map_err(|_| InvalidId)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// Takes a raw identifier: any number from 1 to `i64::MAX`, so that it fits every store's
            /// signed integers.
            ///
            /// # Errors
            /// [`InvalidId`] for 0, which the wire uses for "not given", and beyond `i64::MAX`.
            pub const fn new(raw: u64) -> Result<Self, InvalidId> {
                if raw == 0 || raw > i64::MAX as u64 { Err(InvalidId) } else { Ok(Self(raw)) }
            }

            /// The raw identifier.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_raw(text).and_then(Self::new)
            }
        }
    };
}

id! {
    /// Names a room.
    RoomId
}
id! {
    /// Names a user: a person or a bot.
    UserId
}
id! {
    /// Names an event, unique in the deployment.
    EventId
}
id! {
    /// Names one device of a user that is signed in: the family of its refresh tokens.
    DeviceId
}
id! {
    /// Names a node among those that run at the same time.
    NodeId
}

/// A place in the order of one room's events: from 1, dense. 0 is "before the first".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(pub u64);

impl Sequence {
    /// Before the first event.
    pub const ZERO: Self = Self(0);

    /// The sequence that follows this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// One unbroken run of a room's sequence: from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch of a room that never lost its log.
    pub const FIRST: Self = Self(1);
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// How many messages a room had when a message was added, itself included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ordinal(pub u64);

/// A place in a room's log: compared by epoch first, then by sequence (log protocol, rule 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// The run of the log.
    pub epoch: Epoch,
    /// The place in that run.
    pub seq: Sequence,
}

impl From<Position> for wire::Position {
    fn from(position: Position) -> Self {
        Self { epoch: position.epoch.0, seq: position.seq.0 }
    }
}

impl From<wire::Position> for Position {
    fn from(position: wire::Position) -> Self {
        Self { epoch: Epoch(position.epoch), seq: Sequence(position.seq) }
    }
}

impl wire::Event {
    /// Where the event stands in its room's log.
    pub fn position(&self) -> Position {
        Position { epoch: Epoch(self.epoch), seq: Sequence(self.seq) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_a_plain_decimal_number_that_fits_a_signed_integer() {
        assert_eq!("42".parse(), Ok(RoomId(42)));
        assert_eq!("9223372036854775807".parse::<RoomId>().map(RoomId::get), Ok(i64::MAX as u64));
        for bad in ["", "0", "042", "-1", "+1", " 1", "1 ", "1e3", "0x1", "9223372036854775808", "99999999999999999999"]
        {
            assert_eq!(bad.parse::<RoomId>(), Err(InvalidId), "{bad:?}");
        }
    }

    #[test]
    fn positions_compare_by_epoch_before_seq() {
        let old = Position { epoch: Epoch(1), seq: Sequence(900) };
        let new = Position { epoch: Epoch(2), seq: Sequence(10) };
        assert!(old < new);
    }
}
