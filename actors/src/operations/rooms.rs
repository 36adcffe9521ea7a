//! Making, finding, changing, joining and leaving rooms.

use std::rc::Rc;

use bobchat_proto::error::ErrorCode;
use bobchat_proto::ids::{RoomId, Sequence, UserId};
use bobchat_proto::wire::{self, Role, event::Body as EventBody};

use super::ask::{ask, ask_room, unavailable};
use super::entering::Entrance;
use super::{Acting, parse};
use crate::ports::RoomRow;
use crate::room::{Command, Inspect, Key, TypingHint, listed};
use crate::worker::Worker;

/// Makes a room with the asker as its owner; again with the same key, gives the one that was made.
pub(super) async fn create(
    worker: Rc<Worker>,
    acting: Acting,
    request: wire::RoomCreate,
) -> Result<wire::RoomCreateOk, wire::Error> {
    let key = parse::key(request.key.clone())?;
    let settings = parse::settings(request)?;
    let core = &worker.core;
    let proposed = core.ids.next().map_err(|error| unavailable(&error))?;
    let proposed = parse::room(proposed)?;
    let room = core.directory.claim_room(acting.user, &key, proposed).await.map_err(|error| unavailable(&error))?;
    let existing = core.directory.room(room).await.map_err(|error| unavailable(&error))?;
    // A repeat of what reached the limit is no room more.
    let entrance = if existing.is_none() { Some(Entrance::reserve(core, acting.user).await?) } else { None };
    core.log.open(room).await.map_err(|error| unavailable(&error))?;
    ask(&worker, acting, room, Command::Create(settings.clone()), Some(Key::repeated(key))).await?;
    drop(entrance);
    if room != proposed {
        check_same_creation(&worker, room, settings).await?;
    }
    let room = inspect(&worker, acting, room).await?;
    tell(&worker, acting.user, &room, true);
    Ok(wire::RoomCreateOk { room: Some(room) })
}

/// The key was used before: for this room as well?
async fn check_same_creation(worker: &Worker, room: RoomId, settings: wire::RoomSettings) -> Result<(), wire::Error> {
    let everything = vec![Sequence(1)..=Sequence(u64::MAX)];
    let page = worker.core.history.events(room, Sequence::ZERO, 1, &everything).await;
    let first = page.map_err(|error| unavailable(&error))?.events.into_iter().next();
    match first.and_then(|event| event.body) {
        Some(EventBody::Created(created)) if created.settings == Some(settings) => Ok(()),
        _ => Err(ErrorCode::IdempotencyConflict.error("the key was used for another room").with_field("key")),
    }
}

/// Reads one room.
pub(super) async fn get(
    worker: Rc<Worker>,
    acting: Acting,
    request: wire::RoomGet,
) -> Result<wire::RoomGetOk, wire::Error> {
    let room = inspect(&worker, acting, parse::room(request.room)?).await?;
    Ok(wire::RoomGetOk { room: Some(room) })
}

/// Lists the asker's rooms.
pub(crate) async fn list(
    worker: &Worker,
    acting: Acting,
    request: wire::RoomList,
) -> Result<wire::RoomListOk, wire::Error> {
    let limit = parse::limit(request.limit)?;
    let after = request.after.map(parse::room).transpose()?;
    let rows = worker.core.directory.rooms_of(acting.user, after, limit.saturating_add(1)).await;
    let mut rows = rows.map_err(|error| unavailable(&error))?;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let rooms = rows.iter().map(|(row, membership)| listed(row, Role::try_from(membership.role).ok()));
    Ok(wire::RoomListOk { rooms: rooms.collect(), has_more })
}

/// Finds public rooms.
pub(super) async fn search(
    worker: Rc<Worker>,
    acting: Acting,
    request: wire::RoomSearch,
) -> Result<wire::RoomSearchOk, wire::Error> {
    let limit = parse::limit(request.limit)?;
    let after = request.after.map(parse::room).transpose()?;
    let found = worker.core.directory.search(&request.query, after, limit.saturating_add(1)).await;
    let mut rows = found.map_err(|error| unavailable(&error))?;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let mut rooms = Vec::with_capacity(rows.len());
    for row in &rows {
        rooms.push(listed(row, role_in(&worker, acting.user, row).await?));
    }
    Ok(wire::RoomSearchOk { rooms, has_more })
}

/// The asker's role in a room of a list: a page of their rooms that begins and ends there.
async fn role_in(worker: &Worker, user: UserId, row: &RoomRow) -> Result<Option<Role>, wire::Error> {
    let before = RoomId::new(row.id.get().saturating_sub(1)).ok();
    let rows = worker.core.directory.rooms_of(user, before, 1).await.map_err(|error| unavailable(&error))?;
    let here = rows.into_iter().find(|(found, _)| found.id == row.id);
    Ok(here.and_then(|(_, membership)| Role::try_from(membership.role).ok()))
}

/// Changes settings.
pub(super) async fn update(
    worker: Rc<Worker>,
    acting: Acting,
    request: wire::RoomUpdate,
) -> Result<wire::RoomUpdateOk, wire::Error> {
    let room = parse::room(request.room)?;
    let change = parse::change(&request)?;
    ask(&worker, acting, room, Command::Update(change), None).await?;
    Ok(wire::RoomUpdateOk { room: Some(inspect(&worker, acting, room).await?) })
}

/// Makes the asker a member.
pub(super) async fn join(
    worker: Rc<Worker>,
    acting: Acting,
    request: wire::RoomJoin,
) -> Result<wire::RoomJoinOk, wire::Error> {
    let room = parse::room(request.room)?;
    let entrance = Entrance::reserve(&worker.core, acting.user).await?;
    ask(&worker, acting, room, Command::Join, None).await?;
    drop(entrance);
    let room = inspect(&worker, acting, room).await?;
    tell(&worker, acting.user, &room, true);
    Ok(wire::RoomJoinOk { room: Some(room) })
}

/// Makes somebody else a member.
pub(super) async fn invite(
    worker: Rc<Worker>,
    acting: Acting,
    request: wire::RoomInvite,
) -> Result<wire::RoomInviteOk, wire::Error> {
    let room = parse::room(request.room)?;
    let user = parse::user(request.user, "user")?;
    let known = worker.core.directory.users(&[user]).await.map_err(|error| unavailable(&error))?;
    if known.is_empty() {
        return Err(ErrorCode::NotFound.error("there is no such user").with_field("user"));
    }
    let entrance = Entrance::reserve(&worker.core, user).await?;
    ask(&worker, acting, room, Command::Invite(user), None).await?;
    drop(entrance);
    let theirs = inspect(&worker, Acting { user, device: None, admin: false }, room).await?;
    tell(&worker, user, &theirs, true);
    Ok(wire::RoomInviteOk { room: Some(inspect(&worker, acting, room).await?) })
}

/// Ends the asker's membership.
pub(super) async fn leave(
    worker: Rc<Worker>,
    acting: Acting,
    request: wire::RoomLeave,
) -> Result<wire::RoomLeaveOk, wire::Error> {
    let room = parse::room(request.room)?;
    ask(&worker, acting, room, Command::Leave, None).await?;
    if let Ok(room) = inspect(&worker, acting, room).await {
        tell(&worker, acting.user, &room, false);
    }
    Ok(wire::RoomLeaveOk {})
}

/// Tells the others that the asker is typing.
pub(super) async fn typing(
    worker: Rc<Worker>,
    acting: Acting,
    request: wire::Typing,
) -> Result<wire::TypingOk, wire::Error> {
    let room = parse::room(request.room)?;
    ask_room(&worker, room, || TypingHint { acting }).await??;
    Ok(wire::TypingOk {})
}

async fn inspect(worker: &Rc<Worker>, acting: Acting, room: RoomId) -> Result<wire::Room, wire::Error> {
    let inspected = ask_room(worker, room, || Inspect { acting, presence: false }).await??;
    Ok(inspected.room)
}

/// Tells all devices of a user that their list of rooms changed.
fn tell(worker: &Worker, user: UserId, room: &wire::Room, member: bool) {
    worker.core.tell_membership(user, wire::MembershipSignal { room: Some(room.clone()), member });
}
