//! Connecting, signing in, and coming back as people's clients do: from the cursor, with a growing delay.

use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;
use bobchat_proto::wire::{self, client_frame::Request};

use super::member::Member;
use super::pause::{self, Pauses};
use crate::check::{Kind, Receiver};
use crate::dialect::{Dialect, ENTER_REQUEST, FLOOR_HEADER_BYTES, FloorHeader, Greeting, Kind as FrameKind};
use crate::time::{Nanos, micros};
use crate::ws;

/// Between tries; they do not grow far, for a run is short.
const PAUSES: Pauses = Pauses { first: Duration::from_millis(50), max: Duration::from_secs(2) };

/// A try that takes longer has failed.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);

/// Tries before somebody gives up: a minute and more.
const TRIES_MAX: u32 = 40;

/// Connects and signs in; whoever received a room goes on there from its cursor. Tries again where the server asks
/// for that.
///
/// # Errors
/// When the server is not there, or refuses for good.
pub(super) async fn arrive(member: &Rc<Member>) -> anyhow::Result<()> {
    for attempt in 0..TRIES_MAX {
        let outcome = try_to_arrive(member).await;
        match outcome {
            Err(error) if error.downcast_ref::<ws::Refused>().is_some_and(ws::Refused::is_temporary) => {
                member.shared.checker.borrow_mut().counts_mut().put_off += 1;
                tokio::time::sleep(PAUSES.after(attempt, member.seat.number)).await;
            }
            outcome => return outcome,
        }
    }
    try_to_arrive(member).await
}

/// The same for whoever was there: nothing but the end of the run makes it give up soon. The latency counts from
/// `intended`.
pub(crate) async fn come(member: Rc<Member>, intended: Nanos) {
    if member.is_coming.replace(true) {
        return;
    }
    if let Err(error) = try_until_there(&member, intended).await {
        let mut checker = member.shared.checker.borrow_mut();
        checker.fault(Kind::Refused, || format!("somebody could not connect: {error:#}"));
    }
    member.is_coming.set(false);
}

async fn try_until_there(member: &Rc<Member>, intended: Nanos) -> anyhow::Result<()> {
    let shared = &member.shared;
    let mut outcome = Ok(());
    for attempt in 0..TRIES_MAX {
        if shared.closing.get() {
            return Ok(());
        }
        outcome = match tokio::time::timeout(TRY_TIMEOUT, try_to_arrive(member)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(anyhow::anyhow!("no answer within {TRY_TIMEOUT:?}")),
        };
        if outcome.is_ok() {
            let mut checker = shared.checker.borrow_mut();
            let counts = checker.counts_mut();
            counts.connects += 1;
            counts.connect_latency.saturating_record(micros(shared.clock.now().saturating_sub(intended)));
            return Ok(());
        }
        shared.checker.borrow_mut().counts_mut().put_off += 1;
        member.cut();
        tokio::time::sleep(PAUSES.after(attempt, member.seat.number)).await;
    }
    outcome
}

/// Comes back after the server ended the connection: at once, or after a wait that differs from member to member when the
/// server sent all of them away.
pub(super) fn come_back(member: Rc<Member>, is_sent_away: bool) -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
    let now = member.shared.clock.now();
    Box::pin(async move {
        if is_sent_away {
            tokio::time::sleep(pause::sent_away(member.seat.number, member.seat.visits.get())).await;
        }
        come(member, now).await;
    })
}

async fn try_to_arrive(member: &Rc<Member>) -> anyhow::Result<()> {
    let (stream, carry) = member.seat.open().await?;
    member.attach(stream, carry);
    match member.shared.dialect {
        Dialect::Bobchat(_) => {
            let token = member.seat.token.borrow().clone();
            let cursors = cursor_of(member).into_iter().collect();
            member.request(Request::Auth(wire::Auth { token, cursors })).await?;
        }
        Dialect::Floor => {
            let room = member.seat.room_number as u64;
            let header = FloorHeader { length: FLOOR_HEADER_BYTES, kind: FrameKind::Join, room, seq: 0, index: 0 };
            let _ = member.exchange(ENTER_REQUEST, &header.bytes()).await?;
        }
        Dialect::Baseline => {
            let _ = member.exchange(ENTER_REQUEST, &[]).await?;
        }
        dialect @ (Dialect::SocketIo | Dialect::Centrifugo | Dialect::Tinode) => {
            let room = member.seat.room_number as u64;
            for greeting in dialect.greetings(room, &member.shared.messages) {
                member.greet(&greeting).await?;
            }
            if let Some(making) = dialect.entrance(room, None) {
                enter_named(member, room, &making).await?;
            }
        }
    }
    member.here();
    // Whoever has a room and never received it begins now.
    let is_new = member.receiver().is_none();
    if let Some(room) = member.seat.room.get().filter(|_| is_new) {
        member.request(Request::Subscribe(wire::Subscribe { room, cursor: None })).await.context("no stream")?;
    }
    Ok(())
}

/// Enters a room that the server names: whoever of its members comes first makes it.
async fn enter_named(member: &Rc<Member>, room: u64, making: &Greeting) -> anyhow::Result<()> {
    let shared = &member.shared;
    if shared.names.make_once(room, member.greet(making)).await? {
        return Ok(());
    }
    let name = shared.names.of(room).context("the server made a room and did not name it")?;
    let entering = shared.dialect.entrance(room, Some(&name)).context("no way into a room that is there")?;
    member.greet(&entering).await
}

fn cursor_of(member: &Member) -> Option<wire::Cursor> {
    let room = member.seat.room.get()?;
    let at = member.receiver().as_ref().map(Receiver::cursor)?;
    Some(wire::Cursor { room, epoch: at.epoch, seq: at.seq })
}
