//! Every error code and every close code, one table each: what it means, whether a retry helps, and
//! what a client does about it. docs/protocol.md repeats both tables; a test holds them together.

use crate::wire;

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, temporary: $temporary:literal, advice: $advice:literal;)+) => {
        /// Why a request failed. The code is stable; the message beside it is for people.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ $name,)+
        }

        impl ErrorCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code as it stands on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// Whether the same request may succeed later.
            pub const fn is_temporary(self) -> bool {
                match self { $(Self::$name => $temporary,)+ }
            }

            /// What a client does about it.
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice,)+ }
            }
        }
    };
}

error_codes! {
    /// The request cannot be understood, or a field of it is not allowed.
    InvalidRequest = "invalid_request", temporary: false, advice: "mend the field that `field` names";
    /// The frame or body is larger than allowed.
    TooLarge = "too_large", temporary: false, advice: "send less; the message says the limit";
    /// The message's text is longer than allowed.
    MessageTooLarge = "message_too_large", temporary: false, advice: "shorten the text; the message says the limit";
    /// No valid token: none, forged, of another deployment, or signed out.
    Unauthenticated = "unauthenticated", temporary: false, advice: "sign in again";
    /// The token was valid and has ended.
    TokenExpired = "token_expired", temporary: false, advice: "refresh the token, then send the request again";
    /// The asker may see this but not do it.
    Forbidden = "forbidden", temporary: false, advice: "do not retry; tell the person";
    /// The asker has to be a member of the room.
    NotAMember = "not_a_member", temporary: false, advice: "join the room first";
    /// It does not exist, or the asker may not know that it does.
    NotFound = "not_found", temporary: false, advice: "do not retry; forget the identifier";
    /// The method does not fit the path.
    MethodNotAllowed = "method_not_allowed", temporary: false, advice: "see the API page";
    /// The idempotency key was used for another body.
    IdempotencyConflict = "idempotency_conflict", temporary: false, advice: "make a new key for the new body";
    /// The cursor is ahead of the room or of an unknown epoch.
    InvalidCursor = "invalid_cursor", temporary: false, advice: "drop the cursor and load the newest page";
    /// Too many requests of this kind.
    RateLimited = "rate_limited", temporary: true, advice: "wait for `retry_after_ms`, then send the same request";
    /// The server has too much to do; nothing was done.
    Busy = "busy", temporary: true, advice: "wait for `retry_after_ms`, then send the same request";
    /// Too many connections of this user or address.
    TooManyConnections = "too_many_connections", temporary: true, advice: "close another connection, or wait";
    /// The user has as many rooms as allowed.
    RoomLimit = "room_limit", temporary: false, advice: "leave a room first";
    /// A service that the server needs does not answer; nothing was done.
    Unavailable = "unavailable", temporary: true, advice: "wait for `retry_after_ms`, then send the same request";
    /// It is not known whether the request took effect.
    Unknown = "unknown", temporary: true, advice: "send the same request again under the same key";
    /// A fault of the server.
    Internal = "internal", temporary: true, advice: "try again later; report it with the time";
}

impl ErrorCode {
    /// The error on the wire, with a message for people.
    pub fn error(self, message: impl Into<String>) -> wire::Error {
        wire::Error {
            code: self.as_str().to_owned(),
            message: message.into(),
            temporary: self.is_temporary(),
            retry_after_ms: None,
            field: None,
        }
    }

    /// The code that stands on the wire as `text`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl wire::Error {
    /// Names the field that is at fault, as a path with dots.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Says how long to wait before the next try, in whole milliseconds: whoever waits as long has waited enough.
    #[must_use]
    pub fn with_retry_after(mut self, wait: std::time::Duration) -> Self {
        self.retry_after_ms = Some(u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX));
        self
    }
}

/// What a client does when the server has closed its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconnect {
    /// Come back at once, with a short random delay.
    AtOnce,
    /// Come back after the wait that the last `error` frame gave.
    AfterWait,
    /// Do not come back by yourself.
    No,
}

macro_rules! close_codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $reason:literal;)+) => {
        /// Why the server closes a WebSocket connection (RFC 6455 section 7.4).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum CloseCode {
            $($(#[doc = $doc])+ $name,)+
        }

        impl CloseCode {
            /// Every code, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The number in the close frame.
            pub const fn code(self) -> u16 {
                match self { $(Self::$name => $code,)+ }
            }

            /// The reason in the close frame.
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$name => $reason,)+ }
            }
        }
    };
}

close_codes! {
    /// The client closed, and this answers.
    Normal = 1000, "bye";
    /// The frame breaks RFC 6455.
    ProtocolError = 1002, "protocol error";
    /// The frame is of a type that the chosen format does not have.
    UnsupportedData = 1003, "unsupported data";
    /// Text that is not UTF-8.
    InvalidData = 1007, "invalid utf-8";
    /// The frame, or the fragments of one message, are larger than allowed.
    TooLarge = 1009, "frame too large";
    /// The server is going down; another one, or this one soon, takes the connection.
    Draining = 4000, "server draining";
    /// The server failed this user and begins again; what was under way has an unknown outcome.
    InternalError = 4001, "internal error";
    /// More bytes wait for this client than allowed: it reads too slowly.
    SlowConsumer = 4008, "slow consumer";
    /// Nothing was heard from the client for two heartbeats.
    Silent = 4009, "no heartbeat";
    /// More frames or bytes than allowed.
    TooManyFrames = 4129, "too many frames";
    /// Too many connections of this user or address.
    TooManyConnections = 4130, "too many connections";
    /// The token ended and was not renewed, or none came in time.
    TokenEnded = 4401, "token ended";
    /// The user was banned or signed out.
    SignedOut = 4403, "signed out";
    /// The first frame was not a valid `auth`, or the client broke the protocol otherwise.
    BadProtocol = 4406, "protocol error";
}

impl CloseCode {
    /// What the client does about it: the range of the code says it (docs/protocol.md, "Close codes").
    pub const fn reconnect(self) -> Reconnect {
        match self.code() {
            4000..=4099 => Reconnect::AtOnce,
            4100..=4199 => Reconnect::AfterWait,
            _ => Reconnect::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_can_be_read_back() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::parse(code.as_str()), Some(*code));
        }
        assert!(CloseCode::ALL.is_sorted_by_key(|code| code.code()));
    }

    #[test]
    fn whoever_waits_as_long_as_they_are_told_has_waited_enough() {
        let told = |wait| ErrorCode::RateLimited.error("").with_retry_after(wait).retry_after_ms;
        assert_eq!(told(std::time::Duration::from_micros(1)), Some(1));
        assert_eq!(told(std::time::Duration::from_millis(50)), Some(50));
        assert_eq!(told(std::time::Duration::from_micros(50_001)), Some(51));
    }

    #[test]
    fn the_range_of_a_close_code_says_whether_to_come_back() {
        assert_eq!(CloseCode::Draining.reconnect(), Reconnect::AtOnce);
        assert_eq!(CloseCode::TooManyFrames.reconnect(), Reconnect::AfterWait);
        assert_eq!(CloseCode::SignedOut.reconnect(), Reconnect::No);
        assert_eq!(CloseCode::ProtocolError.reconnect(), Reconnect::No);
    }
}
