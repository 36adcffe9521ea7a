//! Turns what a request holds into values that are valid, or says which field is not and what is allowed.

use bobchat_proto::error::ErrorCode;
use bobchat_proto::ids::{RoomId, UserId};
use bobchat_proto::limits;
use bobchat_proto::wire::{self, HistoryVisibility, RoomKind, RoomSettings, SettingsChanged};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::log::{KeyAge, judge_key};
use crate::names;

/// # Errors
/// `invalid_request` when the identifier is missing or no identifier; as everywhere here.
pub fn room(raw: u64) -> Result<RoomId, wire::Error> {
    RoomId::new(raw).map_err(|error| invalid("room", error.to_string()))
}

/// # Errors
/// See [`room`].
pub fn user(raw: u64, field: &str) -> Result<UserId, wire::Error> {
    UserId::new(raw).map_err(|error| invalid(field, error.to_string()))
}

/// An idempotency key: visible ASCII characters.
///
/// # Errors
/// See [`room`].
pub fn key(key: String) -> Result<String, wire::Error> {
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if key.is_empty() || key.len() > limits::KEY_LENGTH_MAX || !visible {
        let allowed = format!("1 to {} visible ASCII characters", limits::KEY_LENGTH_MAX);
        return Err(invalid("key", allowed));
    }
    if key.starts_with('~') {
        return Err(invalid("key", "keys that begin with ~ are the server's own".to_owned()));
    }
    Ok(key)
}

/// When a key was made: not so long ago that its use may be forgotten, nor in times to come.
///
/// # Errors
/// See [`room`].
pub fn made_at(made_at: Option<i64>, now: i64) -> Result<Option<i64>, wire::Error> {
    match made_at.map(|made_at| judge_key(made_at, now)) {
        None | Some(KeyAge::Good) => Ok(made_at),
        Some(KeyAge::TooOld) => {
            Err(invalid("made_at", "the key was made more than 24 hours ago: send it under a new key".to_owned()))
        }
        Some(KeyAge::Ahead) => {
            let why = "the key is more than 2 minutes ahead: set the clock right, or leave this out";
            Err(invalid("made_at", why.to_owned()))
        }
    }
}

/// The text of a message, kept as it was sent.
///
/// # Errors
/// `message_too_large`; otherwise see [`room`].
pub fn text(text: String) -> Result<wire::Message, wire::Error> {
    let too_large = |limit: String| ErrorCode::MessageTooLarge.error(limit).with_field("text");
    if text.len() > limits::MESSAGE_BYTES_MAX {
        return Err(too_large(format!("a message is at most {} bytes of UTF-8", limits::MESSAGE_BYTES_MAX)));
    }
    // A grapheme is at least a byte, so only a long text has to be counted.
    if text.len() > limits::MESSAGE_GRAPHEMES_MAX && text.graphemes(true).count() > limits::MESSAGE_GRAPHEMES_MAX {
        return Err(too_large(format!("a message is at most {} characters", limits::MESSAGE_GRAPHEMES_MAX)));
    }
    if text.chars().all(|letter| letter.is_whitespace() || letter.is_control()) {
        return Err(invalid("text", "a message has at least one visible character".to_owned()));
    }
    Ok(wire::Message { text })
}

/// How many items a page may have.
///
/// # Errors
/// See [`room`].
pub fn limit(limit: Option<u32>) -> Result<usize, wire::Error> {
    match limit.unwrap_or(limits::PAGE_ITEMS_DEFAULT) {
        limit @ 1..=limits::PAGE_ITEMS_MAX => Ok(limit as usize),
        _ => Err(invalid("limit", format!("a page has 1 to {} items", limits::PAGE_ITEMS_MAX))),
    }
}

/// The settings of a new room.
///
/// # Errors
/// See [`room`].
pub fn settings(request: wire::RoomCreate) -> Result<RoomSettings, wire::Error> {
    Ok(RoomSettings {
        name: room_name(&request.name)?,
        topic: room_topic(&request.topic)?,
        kind: kind(request.kind)? as i32,
        history: history(request.history)?.unwrap_or(HistoryVisibility::Everything) as i32,
    })
}

/// A change of settings.
///
/// # Errors
/// See [`room`].
pub fn change(request: &wire::RoomUpdate) -> Result<SettingsChanged, wire::Error> {
    Ok(SettingsChanged {
        name: request.name.as_deref().map(room_name).transpose()?,
        topic: request.topic.as_deref().map(room_topic).transpose()?,
        history: history(request.history)?.map(|history| history as i32),
    })
}

fn room_name(raw: &str) -> Result<String, wire::Error> {
    line(raw, "name", 1, limits::ROOM_NAME_CHARS_MAX)
}

fn room_topic(raw: &str) -> Result<String, wire::Error> {
    line(raw, "topic", 0, limits::ROOM_TOPIC_CHARS_MAX)
}

/// One line of text that others will see: [`crate::names::line`].
fn line(raw: &str, field: &str, min: usize, max: usize) -> Result<String, wire::Error> {
    let line = names::line(raw, max).map_err(|error| invalid(field, error.to_string()))?;
    if line.chars().count() < min { Err(invalid(field, names::NameError::Empty.to_string())) } else { Ok(line) }
}

fn kind(raw: Option<i32>) -> Result<RoomKind, wire::Error> {
    match raw.map(RoomKind::try_from) {
        None => Ok(RoomKind::Public),
        Some(Ok(kind @ (RoomKind::Public | RoomKind::Private))) => Ok(kind),
        Some(_) => Err(invalid("kind", "public or private".to_owned())),
    }
}

fn history(raw: Option<i32>) -> Result<Option<HistoryVisibility>, wire::Error> {
    match raw.map(HistoryVisibility::try_from) {
        None => Ok(None),
        Some(Ok(history @ (HistoryVisibility::Everything | HistoryVisibility::FromJoin))) => Ok(Some(history)),
        Some(_) => Err(invalid("history", "everything or from_join".to_owned())),
    }
}

/// The error for a field that is not allowed as it is.
pub(super) fn invalid(field: &str, allowed: String) -> wire::Error {
    ErrorCode::InvalidRequest.error(allowed).with_field(field)
}
