//! People, and who of them is where.

use bobchat_proto::wire::client_frame::Request;
use bobchat_proto::wire::{RoomMembers, RoomMembersOk, RoomPresence, RoomPresenceOk, UserGet, UserGetOk};

use super::answer::ask;
use super::extract::{Caller, InRoom, Parameters, parse_user};
use crate::web::failure::{Answer, Failure};

/// Reads people by their identifiers
///
/// Who does not exist is left out.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "People",
    params(("ids" = String, Query, description = "Up to 200 identifiers, parted by commas", example = "1,2")),
    responses((status = 200, description = "The people", body = UserGetOk))
)]
pub(super) async fn users(caller: Caller, parameters: Parameters) -> Answer {
    let parameters = parameters.only(&["ids"])?;
    let ids = parameters.text("ids").filter(|ids| !ids.is_empty());
    let ids = ids.ok_or_else(|| Failure::in_field("ids", "up to 200 identifiers, parted by commas"))?;
    let users: Result<Vec<u64>, Failure> = ids.split(',').map(|id| Ok(parse_user("ids", id)?.get())).collect();
    ask(&caller, Request::UserGet(UserGet { users: users? })).await
}

/// Lists the members of a room
#[utoipa::path(
    get, path = "/api/v1/rooms/{room}/members", tag = "People",
    params(
        ("room" = String, Path, description = "The room"),
        ("after" = Option<String>, Query, description = "Only members with a higher identifier: the last one of the page before"),
        ("limit" = Option<u32>, Query, description = "How many at most: 1 to 200, 50 when absent"),
    ),
    responses((status = 200, description = "A page of members, in the order of their identifiers", body = RoomMembersOk))
)]
pub(super) async fn members(caller: Caller, room: InRoom, parameters: Parameters) -> Answer {
    let parameters = parameters.only(&["after", "limit"])?;
    let request =
        RoomMembers { room: room.0.get(), after: parameters.id("after")?, limit: parameters.number("limit")? };
    ask(&caller, Request::RoomMembers(request)).await
}

/// Says which members of a room are connected
#[utoipa::path(
    get, path = "/api/v1/rooms/{room}/presence", tag = "People",
    params(("room" = String, Path, description = "The room")),
    responses((status = 200, description = "Who is here", body = RoomPresenceOk))
)]
pub(super) async fn presence(caller: Caller, room: InRoom) -> Answer {
    ask(&caller, Request::RoomPresence(RoomPresence { room: room.0.get() })).await
}
