use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::prelude::SendError;
use actix::{Handler, Message};
use bobchat_proto::error::ErrorCode;
use bobchat_proto::ids::RoomId;
use bobchat_proto::wire;
use tokio::sync::oneshot;

use super::Acting;
use crate::ports::Unavailable;
use crate::room::{Answer, Ask, Command, Key, Room};
use crate::traces;
use crate::worker::Worker;

/// How long a request may take: longer than a room tries, so that the room's own answer comes first.
const REQUEST_DEADLINE: Duration = Duration::from_secs(12);

/// How often a room is looked up again that went away before it took a request.
const LOOKUPS_MAX: usize = 4;

/// Gives a room a command, now, and waits for what it comes to.
///
/// A room that dies before it answers is asked once more: a key or the room's state makes that harmless. After that
/// the outcome is unknown (log protocol, rule 38). A room whose mailbox takes nothing gives the command back: `busy`.
pub(super) fn ask(
    worker: &Rc<Worker>,
    acting: Acting,
    room: RoomId,
    command: Command,
    key: Option<Key>,
) -> impl Future<Output = Result<Answer, wire::Error>> + 'static {
    let worker = worker.clone();
    let span = traces::present();
    let again = key.as_ref().map(|key| Key::repeated(key.text.clone()));
    let first = hand_over(&worker, acting, room, command.clone(), key, span.clone());
    async move {
        let waiting = async {
            match first?.await {
                Ok(answer) => answer,
                Err(_) => match hand_over(&worker, acting, room, command, again, span)?.await {
                    Ok(answer) => answer,
                    Err(_) => Err(unknown()),
                },
            }
        };
        tokio::time::timeout(REQUEST_DEADLINE, waiting).await.unwrap_or_else(|_| Err(unknown()))
    }
}

fn hand_over(
    worker: &Rc<Worker>,
    acting: Acting,
    room: RoomId,
    command: Command,
    key: Option<Key>,
    span: tracing::Span,
) -> Result<oneshot::Receiver<Result<Answer, wire::Error>>, wire::Error> {
    let (reply, answer) = oneshot::channel();
    let mut ask = Ask { acting, command, key, reply, span };
    for _ in 0..LOOKUPS_MAX {
        match worker.room(room).try_send(ask) {
            Ok(()) => return Ok(answer),
            Err(SendError::Closed(back)) => ask = back,
            Err(SendError::Full(_)) => {
                worker.core.metrics.room_queue_full.inc();
                return Err(busy());
            }
        }
    }
    Err(busy())
}

/// Asks a room something that changes nothing.
///
/// # Errors
/// `unavailable` when the room cannot be reached.
pub(crate) async fn ask_room<M>(
    worker: &Rc<Worker>,
    room: RoomId,
    make: impl Fn() -> M,
) -> Result<M::Result, wire::Error>
where
    M: Message + Send + 'static,
    M::Result: Send,
    Room: Handler<M>,
    <Room as actix::Actor>::Context: ToEnvelope<Room, M>,
{
    let asking = async {
        for _ in 0..LOOKUPS_MAX {
            if let Ok(answer) = worker.room(room).send(make()).await {
                return Ok(answer);
            }
        }
        Err(unreachable_room())
    };
    tokio::time::timeout(REQUEST_DEADLINE, asking).await.unwrap_or_else(|_| Err(unreachable_room()))
}

/// What a client is told when a store does not answer; the cause goes to the log.
pub(super) fn unavailable(error: &Unavailable) -> wire::Error {
    tracing::warn!(error = %error, "could not read from the store");
    ErrorCode::Unavailable.error("the server cannot read its store for now").with_retry_after(Duration::from_secs(1))
}

fn busy() -> wire::Error {
    ErrorCode::Busy.error("the room has too much to do").with_retry_after(Duration::from_millis(250))
}

fn unreachable_room() -> wire::Error {
    ErrorCode::Unavailable.error("the room cannot be reached for now").with_retry_after(Duration::from_secs(1))
}

fn unknown() -> wire::Error {
    let error = ErrorCode::Unknown.error("it is not known whether the request took effect");
    error.with_retry_after(Duration::from_millis(250))
}
