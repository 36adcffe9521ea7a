//! Sending and reading messages.

use std::future::Future;
use std::rc::Rc;

use bobchat_proto::error::ErrorCode;
use bobchat_proto::ids::{RoomId, Sequence, UserId};
use bobchat_proto::wire;
use futures_util::FutureExt as _;

use super::ask::{ask, ask_room, unavailable};
use super::{Acting, parse, people};
use crate::ports::{Anchor, Visible};
use crate::room::{Answer, Command, Inspect, Key};
use crate::worker::Worker;

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
    let visible = visible(&worker, acting, room).await?;
    let core = &worker.core;
    let page = core.history.page(room, anchor, limit, &visible).await.map_err(|error| unavailable(&error))?;
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
    let visible = visible(&worker, acting, room).await?;
    let after = Sequence(request.after);
    let page = worker.core.history.events(room, after, limit, &visible).await.map_err(|error| unavailable(&error))?;
    Ok(wire::RoomEventsOk { events: page.events, has_more: page.has_more })
}

async fn visible(worker: &Rc<Worker>, acting: Acting, room: RoomId) -> Result<Visible, wire::Error> {
    let inspected = ask_room(worker, room, || Inspect { acting, presence: false }).await??;
    inspected.visible.ok_or_else(|| ErrorCode::NotAMember.error("you are not a member of this room"))
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
