//! Who is who, and who is where.

use std::rc::Rc;

use bobchat_proto::error::ErrorCode;
use bobchat_proto::ids::UserId;
use bobchat_proto::limits::USER_GET_MAX;
use bobchat_proto::{record, wire};

use super::ask::{ask_room, unavailable};
use super::{Acting, parse};
use crate::core::Core;
use crate::room::Inspect;
use crate::worker::Worker;

/// Lists the members of a room.
pub(super) async fn members(
    worker: Rc<Worker>,
    acting: Acting,
    request: wire::RoomMembers,
) -> Result<wire::RoomMembersOk, wire::Error> {
    let room = parse::room(request.room)?;
    let limit = parse::limit(request.limit)?;
    let after = request.after.map(|after| parse::user(after, "after")).transpose()?;
    let inspected = ask_room(&worker, room, || Inspect { acting, presence: false }).await??;
    inspected.role.ok_or_else(not_a_member)?;
    let directory = &worker.core.directory;
    let mut rows =
        directory.members(room, after, limit.saturating_add(1)).await.map_err(|error| unavailable(&error))?;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let users = find(&worker.core, rows.iter().map(|(user, _)| *user).collect()).await?;
    let members = rows.into_iter().map(|(user, membership)| member(&users, user, &membership));
    Ok(wire::RoomMembersOk { members: members.collect(), has_more })
}

/// Tells which members receive a room.
pub(super) async fn presence(
    worker: Rc<Worker>,
    acting: Acting,
    request: wire::RoomPresence,
) -> Result<wire::RoomPresenceOk, wire::Error> {
    let room = parse::room(request.room)?;
    let inspected = ask_room(&worker, room, || Inspect { acting, presence: true }).await??;
    let users = find(&worker.core, inspected.present).await?;
    Ok(wire::RoomPresenceOk { users, count: inspected.present_count })
}

/// Reads people by their identifiers.
pub(super) async fn get(worker: Rc<Worker>, request: wire::UserGet) -> Result<wire::UserGetOk, wire::Error> {
    if request.users.len() > USER_GET_MAX {
        return Err(parse::invalid("users", format!("at most {USER_GET_MAX} users")));
    }
    let users = request.users.into_iter().map(|user| parse::user(user, "users")).collect::<Result<Vec<_>, _>>()?;
    Ok(wire::UserGetOk { users: find(&worker.core, users).await? })
}

/// Reads people, each once; who does not exist is left out.
pub(super) async fn find(core: &Core, mut users: Vec<UserId>) -> Result<Vec<wire::User>, wire::Error> {
    users.sort_unstable();
    users.dedup();
    let found = core.directory.users(&users).await.map_err(|error| unavailable(&error))?;
    Ok(found.into_iter().map(|(id, user)| shown(id, user)).collect())
}

fn shown(id: UserId, user: record::User) -> wire::User {
    wire::User { id: id.get(), handle: user.handle, name: user.name }
}

fn member(users: &[wire::User], user: UserId, membership: &record::Membership) -> wire::Member {
    // `users` is in the order of identifiers, as `find` leaves it.
    let found = users.binary_search_by_key(&user.get(), |shown| shown.id).ok().and_then(|index| users.get(index));
    let user = found.cloned().unwrap_or(wire::User { id: user.get(), ..wire::User::default() });
    wire::Member { user: Some(user), role: membership.role, joined_at: membership.joined_at }
}

fn not_a_member() -> wire::Error {
    ErrorCode::NotAMember.error("you are not a member of this room")
}
