//! Receiving a room from a cursor on, without a hole and without a double.
//!
//! Far behind, a session reads what it missed from history, page by page, no faster than its client takes
//! it. Near enough, it asks the room to attach it: the room hands the rest, from its ring, and every event
//! after that through the same queue of jobs to the session's hub, so that nothing can come between (log protocol,
//! rule 27).

use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::Weak;
use std::time::Duration;

use bobchat_proto::error::ErrorCode;
use bobchat_proto::ids::{Epoch, Position, RoomId};
use bobchat_proto::limits::PAGE_ITEMS_MAX;
use bobchat_proto::wire::{self, ResetReason};
use tokio::sync::Mutex;

use super::pages::LOW_WATER;
use crate::hub::{Outlet, Subscriber};
use crate::operations::{self, Acting, parse};
use crate::ports::Visible;
use crate::room::{Attach, Attached, Frames, Inquire, Inquired, reset_frames};
use crate::worker::Worker;

/// How often a room is asked that has not applied what its client has seen elsewhere: some seconds.
const INQUIRIES_MAX: usize = 30;

/// The wait that is advised when a room stays behind what its client has seen.
const BEHIND_RETRY: Duration = Duration::from_secs(1);

/// Pause before a room or history that did not answer is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Asks from where on a room can be received.
pub(super) async fn inquire(
    worker: Rc<Worker>,
    acting: Acting,
    subscribe: wire::Subscribe,
) -> Result<(RoomId, Inquired), wire::Error> {
    let room = parse::room(subscribe.room)?;
    let cursor = subscribe.cursor.map(Position::from);
    let mut log_head = None;
    for _ in 0..INQUIRIES_MAX {
        let inquire = || Inquire { acting, cursor, log_head };
        if let Some(inquired) = operations::ask_room(&worker, room, inquire).await?? {
            return Ok((room, inquired));
        }
        if log_head.is_some() {
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        let head = worker.core.log.head(room).await.map_err(|error| {
            tracing::warn!(room.id = %room, error = %error, "could not read where a room's log stands");
            behind()
        })?;
        log_head = Some(head.map(|head| head.position).unwrap_or_default());
    }
    Err(behind())
}

fn behind() -> wire::Error {
    ErrorCode::Unavailable.error("the room cannot be brought up to date").with_retry_after(BEHIND_RETRY)
}

/// Sends everything after `after` and lets the connection receive the room from there on, for as long as it is `wanted`.
/// `turn` is that of its connection.
pub(super) async fn receive(
    worker: Rc<Worker>,
    outlet: Rc<Outlet>,
    acting: Acting,
    room: RoomId,
    after: Position,
    wanted: Weak<()>,
    turn: Rc<Mutex<()>>,
) {
    let subscriber = Subscriber { session: outlet.session, user: acting.user, format: outlet.format };
    let mut after = after;
    while outlet.is_open() {
        let attach = || Attach { acting, subscriber, worker: worker.index, wanted: wanted.clone(), after };
        match operations::ask_room(&worker, room, attach).await {
            Ok(Attached::Live) => return,
            Ok(Attached::Behind { applied, visible }) => {
                after = replay(&worker, &outlet, acting, room, after..=applied, &visible, &turn).await
            }
            Ok(Attached::Ended { visible, head }) => {
                let seq = visible.last().map_or(after.seq, |range| *range.end());
                let end = Position { epoch: head.epoch, seq };
                after = replay(&worker, &outlet, acting, room, after..=end, &visible, &turn).await;
                if after.seq >= end.seq {
                    return;
                }
            }
            Ok(Attached::Lost { head }) => {
                worker.core.metrics.resets.inc();
                if let Some(bytes) = reset_frames(room, head, ResetReason::NewEpoch).of(outlet.format) {
                    outlet.push(bytes);
                }
                after = head;
            }
            Ok(Attached::Unavailable) | Err(_) => tokio::time::sleep(AGAIN_AFTER).await,
        }
    }
}

/// Sends what is visible behind the first position of `missed` up to its last, at the pace of the client and of what its
/// user may have read; returns the last, or where it was when the connection closed, or when the log turned out to have
/// another epoch than that of the last: then only the room can say whether it still has what the client was sent last, and
/// what follows.
async fn replay(
    worker: &Worker,
    outlet: &Outlet,
    acting: Acting,
    room: RoomId,
    missed: RangeInclusive<Position>,
    visible: &Visible,
    turn: &Mutex<()>,
) -> Position {
    let (mut after, end) = missed.into_inner();
    while outlet.is_open() && after.seq < end.seq {
        operations::wait_for_missed(worker, acting, turn, end.seq.0.saturating_sub(after.seq.0)).await;
        let page = match worker.core.history.events(room, after.seq, PAGE_ITEMS_MAX as usize, visible).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(room.id = %room, error = %error, "could not read events for a client, trying again");
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            }
        };
        if page.events.iter().any(|event| event.epoch > end.epoch.0) {
            tokio::time::sleep(AGAIN_AFTER).await;
            return after;
        }
        let last = page.events.last().map(wire::Event::position);
        let encoding = async { Frames::of_events(page.events, |format| format == outlet.format) };
        let frames = worker.pages.take(encoding).await;
        if let (Some(last), Some(bytes)) = (last, frames.of(outlet.format)) {
            outlet.push(bytes);
            after = last;
        }
        if !page.has_more {
            if after.seq >= end.seq || is_in_epoch(worker, room, end.epoch).await {
                return end;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
            return after;
        }
        std::future::poll_fn(|context| outlet.poll_below(LOW_WATER, context)).await;
    }
    after
}

/// Whether a room's log still stands in an epoch, so that nothing but what is not shown was missing from a page of it. A
/// log that was lost is opened again by the asking.
async fn is_in_epoch(worker: &Worker, room: RoomId, epoch: Epoch) -> bool {
    match worker.core.log.head(room).await {
        Ok(head) => head.is_some_and(|head| head.position.epoch == epoch),
        Err(error) => {
            tracing::warn!(room.id = %room, error = %error, "could not read where a room's log stands");
            false
        }
    }
}
