//! Rooms, and belonging to them.

use bobchat_proto::wire::client_frame::Request;
use bobchat_proto::wire::{
    RoomCreate, RoomCreateOk, RoomGet, RoomGetOk, RoomInvite, RoomInviteOk, RoomJoin, RoomJoinOk, RoomLeave,
    RoomLeaveOk, RoomList, RoomListOk, RoomSearch, RoomSearchOk, RoomUpdate, RoomUpdateOk,
};

use super::answer::{ask, ask_created};
use super::bodies::{Invitation, NewRoom, RoomChange};
use super::extract::{Body, Caller, IdempotencyKey, InRoom, Parameters, parse_user};
use crate::web::failure::Answer;

/// Lists the asker's rooms
#[utoipa::path(
    get, path = "/api/v1/rooms", tag = "Rooms",
    params(
        ("after" = Option<String>, Query, description = "Only rooms with a higher identifier: the last one of the page before"),
        ("limit" = Option<u32>, Query, description = "How many at most: 1 to 200, 50 when absent"),
    ),
    responses((status = 200, description = "A page of rooms, in the order of their identifiers", body = RoomListOk))
)]
pub(super) async fn list(caller: Caller, parameters: Parameters) -> Answer {
    let parameters = parameters.only(&["after", "limit"])?;
    let request = RoomList { after: parameters.id("after")?, limit: parameters.number("limit")? };
    ask(&caller, Request::RoomList(request)).await
}

/// Makes a room
///
/// The asker becomes its owner. A repeated request with the same key makes one room.
#[utoipa::path(
    post, path = "/api/v1/rooms", tag = "Rooms",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 64 visible ASCII characters; the same for a retry")),
    request_body = NewRoom,
    responses((status = 201, description = "The room", body = RoomCreateOk))
)]
pub(super) async fn create(caller: Caller, key: IdempotencyKey, body: Body<NewRoom>) -> Answer {
    let NewRoom { name, topic, kind, history } = body.0;
    let (topic, kind, history) = (topic.unwrap_or_default(), kind.map(i32::from), history.map(i32::from));
    let request = RoomCreate { name, topic, kind, history, key: key.0 };
    ask_created(&caller, Request::RoomCreate(request)).await
}

/// Finds public rooms by their name
#[utoipa::path(
    get, path = "/api/v1/rooms/search", tag = "Rooms",
    params(
        ("query" = Option<String>, Query, description = "What words of the name begin with, in any case; empty finds all"),
        ("after" = Option<String>, Query, description = "Only rooms with a higher identifier: the last one of the page before"),
        ("limit" = Option<u32>, Query, description = "How many at most: 1 to 200, 50 when absent"),
    ),
    responses((status = 200, description = "A page of rooms, in the order of their identifiers", body = RoomSearchOk))
)]
pub(super) async fn search(caller: Caller, parameters: Parameters) -> Answer {
    let parameters = parameters.only(&["query", "after", "limit"])?;
    let query = parameters.text("query").unwrap_or_default().to_owned();
    let request = RoomSearch { query, after: parameters.id("after")?, limit: parameters.number("limit")? };
    ask(&caller, Request::RoomSearch(request)).await
}

/// Reads one room
#[utoipa::path(
    get, path = "/api/v1/rooms/{room}", tag = "Rooms",
    params(("room" = String, Path, description = "The room")),
    responses((status = 200, description = "The room", body = RoomGetOk))
)]
pub(super) async fn get(caller: Caller, room: InRoom) -> Answer {
    ask(&caller, Request::RoomGet(RoomGet { room: room.0.get() })).await
}

/// Changes settings of a room
///
/// Its owner may; what is absent stays as it is.
#[utoipa::path(
    patch, path = "/api/v1/rooms/{room}", tag = "Rooms",
    params(("room" = String, Path, description = "The room")),
    request_body = RoomChange,
    responses((status = 200, description = "The room as it is now", body = RoomUpdateOk))
)]
pub(super) async fn update(caller: Caller, room: InRoom, body: Body<RoomChange>) -> Answer {
    let RoomChange { name, topic, history } = body.0;
    let request = RoomUpdate { room: room.0.get(), name, topic, history: history.map(i32::from) };
    ask(&caller, Request::RoomUpdate(request)).await
}

/// Joins a public room
///
/// Being a member already is no error.
#[utoipa::path(
    post, path = "/api/v1/rooms/{room}/join", tag = "Rooms",
    params(("room" = String, Path, description = "The room")),
    responses((status = 200, description = "The room as it is now", body = RoomJoinOk))
)]
pub(super) async fn join(caller: Caller, room: InRoom) -> Answer {
    ask(&caller, Request::RoomJoin(RoomJoin { room: room.0.get() })).await
}

/// Leaves a room
///
/// Not being a member is no error.
#[utoipa::path(
    post, path = "/api/v1/rooms/{room}/leave", tag = "Rooms",
    params(("room" = String, Path, description = "The room")),
    responses((status = 200, description = "The asker is not a member", body = RoomLeaveOk))
)]
pub(super) async fn leave(caller: Caller, room: InRoom) -> Answer {
    ask(&caller, Request::RoomLeave(RoomLeave { room: room.0.get() })).await
}

/// Makes somebody else a member
#[utoipa::path(
    post, path = "/api/v1/rooms/{room}/members", tag = "Rooms",
    params(("room" = String, Path, description = "The room")),
    request_body = Invitation,
    responses((status = 200, description = "The room as it is now", body = RoomInviteOk))
)]
pub(super) async fn invite(caller: Caller, room: InRoom, body: Body<Invitation>) -> Answer {
    let user = parse_user("user", &body.0.user)?.get();
    ask(&caller, Request::RoomInvite(RoomInvite { room: room.0.get(), user })).await
}
