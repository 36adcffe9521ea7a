//! Sending and reading messages.

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use bobchat_proto::error::ErrorCode;
use bobchat_proto::ids::{Position, RoomId, Sequence, UserId};
use bobchat_proto::wire;
use futures_util::FutureExt as _;

use super::ask::{ask, ask_room, unavailable};
use super::{Acting, parse, people};
use crate::ports::paging::up_to;
use crate::ports::{Anchor, Listener as _, Told, Unavailable, Visible};
use crate::room::{Answer, Command, Inspect, Key};
use crate::worker::Worker;

/// How often a room looks at its log for a page that shows more than it has applied. Where it cannot keep up, the page
/// ends where the room does.
const LOOKS_MAX: u32 = 4;

/// The wait that is advised while it cannot.
const BEHIND_RETRY: Duration = Duration::from_millis(500);

/// Adds a message: it is on its way to the room when this returns.
pub(super) fn send(
    worker: &Rc<Worker>,
    acting: Acting,
    request: wire::MessageSend,
) -> impl Future<Output = Result<wire::MessageSendOk, wire::Error>> + 'static {
    let valid = valid_send(request, worker.core.clock.now_micros());
    let asked = valid.map(|(room, key, message)| (room, ask(worker, acting, room, Command::Send(message), Some(key))));
    async move {
        let (room, asked) = asked?;
        match asked.boxed_local().await? {
            Answer::Placed { placement, .. } => Ok(wire::MessageSendOk {
                room: room.get(),
                position: Some(placement.position.into()),
                ordinal: placement.ordinal.unwrap_or_default().0,
                id: placement.id.get(),
                at: placement.at,
            }),
            Answer::Nothing => Err(ErrorCode::Internal.error("the message made no event")),
        }
    }
}

fn valid_send(request: wire::MessageSend, now: i64) -> Result<(RoomId, Key, wire::Message), wire::Error> {
    let room = parse::room(request.room)?;
    let made_at = parse::made_at(request.made_at, now)?;
    let key = Key { text: parse::key(request.key)?, made_at };
    Ok((room, key, parse::text(request.text)?))
}

/// Reads a page of messages.
pub(super) async fn history(
    worker: Rc<Worker>,
    acting: Acting,
    request: wire::MessageHistory,
) -> Result<wire::MessageHistoryOk, wire::Error> {
    let room = parse::room(request.room)?;
    let limit = parse::limit(request.limit)?;
    let anchor = anchor(&request)?;
    let core = &worker.core;
    let read = async |visible: Visible| core.history.page(room, anchor, limit, &visible).await;
    let page = judged(&worker, acting, room, read, |page| page.messages.last()).await?;
    let authors = page.messages.iter().filter_map(|message| UserId::new(message.author).ok());
    let users = people::find(core, authors.collect()).await?;
    Ok(wire::MessageHistoryOk {
        messages: page.messages,
        users,
        has_more_before: page.has_more_before,
        has_more_after: page.has_more_after,
    })
}

/// Reads events after a position.
pub(super) async fn events(
    worker: Rc<Worker>,
    acting: Acting,
    request: wire::RoomEvents,
) -> Result<wire::RoomEventsOk, wire::Error> {
    let room = parse::room(request.room)?;
    let limit = parse::limit(request.limit)?;
    let after = Sequence(request.after);
    let core = &worker.core;
    let read = async |visible: Visible| core.history.events(room, after, limit, &visible).await;
    let page = judged(&worker, acting, room, read, |page| page.events.last()).await?;
    Ok(wire::RoomEventsOk { events: page.events, has_more: page.has_more })
}

/// Reads what somebody may see. What the room here has not applied is not shown before it has: who reads may have been
/// removed by it, at another node (log protocol, rule 26).
async fn judged<P>(
    worker: &Rc<Worker>,
    acting: Acting,
    room: RoomId,
    read: impl AsyncFn(Visible) -> Result<P, Unavailable>,
    last: impl Fn(&P) -> Option<&wire::Event>,
) -> Result<P, wire::Error> {
    // Positions and not numbers alone: a log that was lost and opened again stands at lower ones, and what is applied of the
    // old one says nothing of who may see the new.
    let beyond = |page: &P, applied| last(page).map(wire::Event::position).filter(|last| *last > applied);
    for _ in 0..LOOKS_MAX {
        let (visible, applied) = visible(worker, acting, room).await?;
        let page = read(visible).await.map_err(|error| unavailable(&error))?;
        let Some(last) = beyond(&page, applied) else { return Ok(page) };
        // Before it is asked again, it has looked.
        worker.core.told(room, Told::Head(Some(last)));
    }
    let (visible, applied) = visible(worker, acting, room).await?;
    let page = read(up_to(&visible, applied.seq).collect()).await.map_err(|error| unavailable(&error))?;
    match beyond(&page, applied) {
        None => Ok(page),
        Some(_) => {
            let error = ErrorCode::Unavailable.error("the room's log was opened again, and is being read");
            Err(error.with_retry_after(BEHIND_RETRY))
        }
    }
}

/// What somebody may see of a room, and up to where that is known.
async fn visible(worker: &Rc<Worker>, acting: Acting, room: RoomId) -> Result<(Visible, Position), wire::Error> {
    let inspected = ask_room(worker, room, || Inspect { acting, presence: false }).await??;
    let applied = inspected.room.head.map(Position::from).unwrap_or_default();
    let visible = inspected.visible.ok_or_else(|| ErrorCode::NotAMember.error("you are not a member of this room"))?;
    Ok((visible, applied))
}

fn anchor(request: &wire::MessageHistory) -> Result<Anchor, wire::Error> {
    match (request.before, request.after, request.around) {
        (None, None, None) => Ok(Anchor::Newest),
        (Some(before), None, None) => Ok(Anchor::Before(Sequence(before))),
        (None, Some(after), None) => Ok(Anchor::After(Sequence(after))),
        (None, None, Some(around)) => Ok(Anchor::Around(Sequence(around))),
        _ => Err(parse::invalid("before", "at most one of before, after and around".to_owned())),
    }
}
