//! Messages and events of a room.

use bobchat_proto::wire::client_frame::Request;
use bobchat_proto::wire::{
    MessageHistory, MessageHistoryOk, MessageSend, MessageSendOk, RoomEvents, RoomEventsOk, Typing, TypingOk,
};

use super::answer::{ask, ask_created};
use super::bodies::NewMessage;
use super::extract::{Body, Caller, IdempotencyKey, InRoom, Parameters};
use crate::web::failure::Answer;

/// Sends a message
///
/// When this answers, the message is on disk. A retry with the same key adds one message and gets the same
/// answer, for 24 hours; without a key the server makes one, and a retry may double.
#[utoipa::path(
    post, path = "/api/v1/rooms/{room}/messages", tag = "Messages",
    params(
        ("room" = String, Path, description = "The room"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 64 visible ASCII characters; the same for a retry"),
    ),
    request_body = NewMessage,
    responses((status = 201, description = "Where the message stands", body = MessageSendOk))
)]
pub(super) async fn send(caller: Caller, room: InRoom, key: IdempotencyKey, body: Body<NewMessage>) -> Answer {
    let request = MessageSend { room: room.0.get(), key: key.0, text: body.0.text, made_at: None };
    ask_created(&caller, Request::MessageSend(request)).await
}

/// Reads messages
///
/// At most one of before, after and around; none reads the newest. Oldest first.
#[utoipa::path(
    get, path = "/api/v1/rooms/{room}/messages", tag = "Messages",
    params(
        ("room" = String, Path, description = "The room"),
        ("before" = Option<u64>, Query, description = "Messages with a lower seq"),
        ("after" = Option<u64>, Query, description = "Messages with a higher seq"),
        ("around" = Option<u64>, Query, description = "Messages on both sides of this seq"),
        ("limit" = Option<u32>, Query, description = "How many at most: 1 to 200, 50 when absent"),
    ),
    responses((status = 200, description = "A page of messages", body = MessageHistoryOk))
)]
pub(super) async fn history(caller: Caller, room: InRoom, parameters: Parameters) -> Answer {
    let parameters = parameters.only(&["before", "after", "around", "limit"])?;
    let request = MessageHistory {
        room: room.0.get(),
        before: parameters.seq("before")?,
        after: parameters.seq("after")?,
        around: parameters.seq("around")?,
        limit: parameters.number("limit")?,
    };
    ask(&caller, Request::MessageHistory(request)).await
}

/// Reads the event stream
///
/// Everything that happened in the room, in the order of its log.
#[utoipa::path(
    get, path = "/api/v1/rooms/{room}/events", tag = "Messages",
    params(
        ("room" = String, Path, description = "The room"),
        ("after" = Option<u64>, Query, description = "Events with a higher seq than this; all when absent"),
        ("limit" = Option<u32>, Query, description = "How many at most: 1 to 200, 50 when absent"),
    ),
    responses((status = 200, description = "A page of events", body = RoomEventsOk))
)]
pub(super) async fn events(caller: Caller, room: InRoom, parameters: Parameters) -> Answer {
    let parameters = parameters.only(&["after", "limit"])?;
    let after = parameters.seq("after")?.unwrap_or_default();
    let request = RoomEvents { room: room.0.get(), after, limit: parameters.number("limit")? };
    ask(&caller, Request::RoomEvents(request)).await
}

/// Says that the asker is typing
///
/// At most every 3 seconds, while they are.
#[utoipa::path(
    post, path = "/api/v1/rooms/{room}/typing", tag = "Messages",
    params(("room" = String, Path, description = "The room")),
    responses((status = 200, description = "The others were told", body = TypingOk))
)]
pub(super) async fn typing(caller: Caller, room: InRoom) -> Answer {
    ask(&caller, Request::Typing(Typing { room: room.0.get() })).await
}
