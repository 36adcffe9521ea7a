//! Everything a client can ask: one operation each. An operation takes who acts, decides permission itself,
//! and cannot be called without one; WebSocket and REST are thin edges over [`perform`].

// Reads what strangers send: a sum that does not fit has to be decided about.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod ask;
mod entering;
mod messages;
mod nodes;
pub mod parse;
mod people;
mod rooms;
mod welcome;

use std::rc::Rc;

use bobchat_proto::error::ErrorCode;
use bobchat_proto::ids::{DeviceId, UserId};
use bobchat_proto::limits::PAGE_ITEMS_MAX;
use bobchat_proto::wire::client_frame::Request;
use bobchat_proto::wire::{self, ok};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use crate::worker::Worker;

pub(crate) use ask::ask_room;
pub(crate) use entering::Entering;
pub use nodes::{NODES_DEADLINE, nodes};
pub(crate) use rooms::list as room_list;
pub use welcome::{SYSTEM_USER, WELCOME_ROOM, prepare_welcome, welcome};

/// Who asks. Made by an [`crate::ports::Authenticator`] from a token it verified, and by nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acting {
    /// The user.
    pub user: UserId,
    /// The device that is signed in; none with a token of an external issuer.
    pub device: Option<DeviceId>,
    /// Whether an operator gave them the rights of an administrator.
    pub admin: bool,
}

/// Does what a client asks and gives its answer, under the name of the request.
///
/// What has to keep its order, a message on its way to its room, is done before this returns; the future
/// only waits for the answer. Requests that belong to a connection are not for here: signing in, and
/// receiving rooms.
pub fn perform(
    worker: &Rc<Worker>,
    acting: Acting,
    request: Request,
) -> LocalBoxFuture<'static, Result<ok::Result, wire::Error>> {
    if let Err(error) = take_page(worker, acting, &request) {
        return futures_util::future::ready(Err(error)).boxed_local();
    }
    let worker = worker.clone();
    macro_rules! answer {
        ($variant:ident, $operation:expr) => {
            $operation.map(|answer| answer.map(ok::Result::$variant)).boxed_local()
        };
    }
    match request {
        Request::MessageSend(request) => answer!(MessageSend, messages::send(&worker, acting, request)),
        Request::MessageHistory(request) => answer!(MessageHistory, messages::history(worker, acting, request)),
        Request::RoomEvents(request) => answer!(RoomEvents, messages::events(worker, acting, request)),
        Request::Typing(request) => answer!(Typing, rooms::typing(worker, acting, request)),
        Request::RoomCreate(request) => answer!(RoomCreate, rooms::create(worker, acting, request)),
        Request::RoomGet(request) => answer!(RoomGet, rooms::get(worker, acting, request)),
        Request::RoomList(request) => answer!(RoomList, async move { rooms::list(&worker, acting, request).await }),
        Request::RoomSearch(request) => answer!(RoomSearch, rooms::search(worker, acting, request)),
        Request::RoomUpdate(request) => answer!(RoomUpdate, rooms::update(worker, acting, request)),
        Request::RoomJoin(request) => answer!(RoomJoin, rooms::join(worker, acting, request)),
        Request::RoomInvite(request) => answer!(RoomInvite, rooms::invite(worker, acting, request)),
        Request::RoomLeave(request) => answer!(RoomLeave, rooms::leave(worker, acting, request)),
        Request::RoomMembers(request) => answer!(RoomMembers, people::members(worker, acting, request)),
        Request::RoomPresence(request) => answer!(RoomPresence, people::presence(worker, acting, request)),
        Request::UserGet(request) => answer!(UserGet, people::get(worker, request)),
        Request::Auth(_)
        | Request::AuthRenew(_)
        | Request::Ping(_)
        | Request::Subscribe(_)
        | Request::Unsubscribe(_) => {
            let error = ErrorCode::InvalidRequest.error("the request belongs to a connection");
            futures_util::future::ready(Err(error)).boxed_local()
        }
    }
}

/// Whether a request is answered by a page: as long as hundreds of events, and read from the store.
pub(crate) const fn asks_for_a_page(request: &Request) -> bool {
    matches!(
        request,
        Request::MessageHistory(_)
            | Request::RoomEvents(_)
            | Request::RoomList(_)
            | Request::RoomSearch(_)
            | Request::RoomMembers(_)
            | Request::RoomPresence(_)
            | Request::UserGet(_)
    )
}

/// Counts a page that a user asks for, over whichever of their connections. Frames are counted by connection, and so would
/// let one user with many of them keep the store and the thread busy that others are delivered by.
fn take_page(worker: &Worker, acting: Acting, request: &Request) -> Result<(), wire::Error> {
    if !asks_for_a_page(request) {
        return Ok(());
    }
    worker.core.pages.take_or_wait(acting.user).map_err(|retry_after| {
        worker.core.metrics.pages_limited.inc();
        ErrorCode::RateLimited.error("too many pages were asked for").with_retry_after(retry_after)
    })
}

/// The least that a read of what was missed costs, in pages. A page of one message took 415 µs of CPU over REST, HTTP and
/// all, one of 128 KiB 753; and who was away for a day has many rooms with a message or two each.
const READ_COST_MIN: f32 = 1.0 / 4.0;

/// Counts what is read of what a user missed, `events` of them or fewer. There is nobody to refuse it to, so it comes later;
/// of a connection one read at a time, in whose `turn` the others wait.
pub(crate) async fn wait_for_missed(worker: &Worker, acting: Acting, turn: &tokio::sync::Mutex<()>, events: u64) {
    let pages = events.min(u64::from(PAGE_ITEMS_MAX)) as f32 / PAGE_ITEMS_MAX as f32;
    let take = || worker.core.missed_pages.take_some_or_wait(acting.user, pages.max(READ_COST_MIN));
    let _turn = turn.lock().await;
    let Err(mut wait) = take() else { return };
    worker.core.metrics.pages_delayed.inc();
    loop {
        tokio::time::sleep(wait).await;
        match take() {
            Ok(()) => return,
            Err(longer) => wait = longer,
        }
    }
}
