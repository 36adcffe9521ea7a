//! What to change when a server refuses load: a limit that is met is no fault of the server, and the
//! person who runs the load should not have to search for its key.

use bobchat_proto::error::{CloseCode, ErrorCode};
use bobchat_proto::wire;

/// The configuration keys that bound a kind of request.
fn keys_of_request(request: &str) -> &'static str {
    match request {
        "message_send" => "limits.sends_per_second and limits.sends_burst (per user and room)",
        "message_history" | "room_events" | "room_list" | "room_search" | "room_members" => {
            "limits.pages_per_second and limits.pages_burst (per user)"
        }
        "guests" => "limits.guests_per_minute and limits.guests_burst (per address), or use --tokens",
        _ => "limits.frames_per_second and limits.frames_burst (per connection)",
    }
}

/// The configuration keys to raise for an error, if it is a limit.
fn keys_of_error(request: &str, code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::RateLimited => Some(keys_of_request(request)),
        ErrorCode::Busy => Some("limits.requests_in_flight (per connection)"),
        ErrorCode::TooManyConnections => {
            Some("limits.connections_per_user or limits.connections_per_address_before_auth")
        }
        ErrorCode::RoomLimit => Some("limits.rooms_per_user"),
        _ => None,
    }
}

/// Says what was refused and which key to raise.
pub(crate) fn of_error(request: &str, error: &wire::Error) -> String {
    let wire::Error { code, message, .. } = error;
    let keys = ErrorCode::parse(code).and_then(|code| keys_of_error(request, code));
    match keys {
        Some(keys) => format!("{request} was refused: {code}: {message}; raise {keys}"),
        None => format!("{request} was refused: {code}: {message}"),
    }
}

/// Says why a connection was closed and what to do about it.
pub(crate) fn of_close(code: u16, reason: &str) -> String {
    let known = CloseCode::ALL.iter().copied().find(|known| known.code() == code);
    match known.and_then(remedy_of_close) {
        Some(remedy) => format!("the server closed a connection: {code} {reason}; {remedy}"),
        None => format!("the server closed a connection: {code} {reason}"),
    }
}

fn remedy_of_close(code: CloseCode) -> Option<&'static str> {
    match code {
        CloseCode::TooManyFrames => {
            Some("raise limits.frames_per_second, limits.frames_burst or limits.frame_bytes_per_second")
        }
        CloseCode::TooManyConnections => {
            Some("raise limits.connections_per_user or limits.connections_per_address_before_auth")
        }
        CloseCode::SlowConsumer => Some(
            "lower the load, for the harness may be too slow, or raise limits.outbound_bytes_max or \
             limits.outbound_bytes_total_max",
        ),
        CloseCode::TokenEnded => Some("run for less time, or give --tokens that last longer"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_names_the_key_to_raise() {
        let error = ErrorCode::RateLimited.error("too fast");
        assert!(of_error("message_send", &error).contains("limits.sends_per_second"));
        assert!(of_error("guests", &error).contains("limits.guests_per_minute"));
        assert!(of_error("message_history", &error).contains("limits.pages_per_second"));
        assert!(of_error("subscribe", &error).contains("limits.frames_per_second"));
        assert!(of_close(4129, "too many frames").contains("limits.frame_bytes_per_second"));
        assert!(!of_error("subscribe", &ErrorCode::NotFound.error("no such room")).contains("raise"));
    }
}
