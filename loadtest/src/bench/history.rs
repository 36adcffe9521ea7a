//! A page of 50 messages far back against one near the end.

use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use bobchat_proto::wire::{self, client_frame::Request, ok};

use super::Bench;
use super::bars::Bar;
use super::child::Bobchat;
use super::fanout::BYTES;
use super::judge::{Judged, Line};
use crate::client::{Fleet, Member, Shape, sign_in_guests};
use crate::load::{Until, Window, progress_bar};
use crate::say::say;
use crate::statistics::Spread;

/// Those who fill the room, each with as much on the way as a connection may have.
const SENDERS: usize = 16;
const WINDOW: u64 = 60;

/// Messages before the end where the near page is: beyond what a room keeps in memory.
pub(super) const NEAR: u64 = 1_000;

/// Pages at each depth, in turns; a depth wanders by a page each time.
const PAGES: u64 = 1_000;
const PAGE: u32 = 50;

/// A server with many messages in one room.
pub(super) struct Filled {
    pub(super) server: Bobchat,
    pub(super) data: tempfile::TempDir,
    fleet: Fleet,
}

/// Stores the messages.
///
/// # Errors
/// When the server fails.
pub(super) async fn fill(bench: &Bench) -> anyhow::Result<Filled> {
    let data = tempfile::tempdir()?;
    let (server, _) = bench.installation.start(data.path())?;
    let users = sign_in_guests(&server.target(), SENDERS)?;
    let shape = Shape { rooms: 1, members: SENDERS, receivers: 1, bytes: BYTES };
    let fleet = Fleet::enter(&server.target(), shape, &users).await?;
    // As many again as the near page is deep, so that the far one is the whole number deep.
    let messages = bench.options.messages + NEAR;
    let progress = progress_bar("storing");
    let began = Instant::now();
    Window { window: WINDOW, until: Until::Messages(messages) }.run(&fleet, &progress).await;
    fleet.settle(true).await;
    progress.finish_and_clear();
    let acked = fleet.shared.checker.borrow().counts().acked;
    ensure!(acked == messages, "only {acked} of {messages} messages were acked");
    say(&format!("stored {messages} messages in {:.1} s", began.elapsed().as_secs_f64()));
    Ok(Filled { server, data, fleet })
}

/// Measures the line.
///
/// # Errors
/// When the server fails.
pub(super) async fn measure(bench: &mut Bench, filled: Filled) -> anyhow::Result<Filled> {
    if !bench.wants(Bar::History) {
        return Ok(filled);
    }
    let far = bench.options.messages;
    let room = filled.fleet.rooms.first().context("a room was filled")?;
    let reader = room.members.last().context("the room has members")?;
    let line = compare(Bar::History, reader, room.id, far, bench.options.kept).await?;
    bench.take(line);
    Ok(filled)
}

/// The line of pages `far` messages back against those [`NEAR`] ones, in turns.
///
/// # Errors
/// When a page cannot be had.
pub(super) async fn compare(
    bar: impl Judged,
    reader: &Rc<Member>,
    room: u64,
    far: u64,
    rounds: usize,
) -> anyhow::Result<Line> {
    let head = newest(reader, room).await?;
    let mut ratios = Vec::new();
    let mut medians = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (mut near_us, mut far_us) = (Vec::new(), Vec::new());
        for page in 0..PAGES {
            let wander = page % 20 * u64::from(PAGE);
            near_us.push(page_us(reader, room, head.saturating_sub(NEAR + wander)).await?);
            far_us.push(page_us(reader, room, head.saturating_sub(far) + wander + u64::from(PAGE)).await?);
        }
        let median = |figures: &[f64]| Spread::of(figures).map_or(f64::NAN, |spread| spread.median);
        ratios.push(median(&far_us) / median(&near_us));
        medians.0.push(median(&near_us));
        medians.1.push(median(&far_us));
    }
    let mut line = Line::judged(bar, &ratios, rounds, ratios.len());
    line.absolute_unit = "us";
    line.floor = Spread::of(&medians.0).map(|spread| spread.median);
    line.ours = Spread::of(&medians.1).map(|spread| spread.median);
    line.notes.push(format!("p50 of {PAGES} pages each: {NEAR} messages deep, and {far}"));
    Ok(line)
}

impl Filled {
    /// Ends the members and the server, and gives the data back.
    pub(super) fn stop(self) -> anyhow::Result<tempfile::TempDir> {
        let violations = self.fleet.finish(true);
        ensure!(violations.is_empty(), "the server broke a promise: {:?}", violations.examples);
        self.server.stop()?;
        Ok(self.data)
    }
}

async fn history(member: &Rc<Member>, request: wire::MessageHistory) -> anyhow::Result<wire::MessageHistoryOk> {
    match member.request(Request::MessageHistory(request)).await? {
        ok::Result::MessageHistory(page) => Ok(page),
        _ => bail!("message_history was answered with something else"),
    }
}

/// The seq of the newest message.
async fn newest(member: &Rc<Member>, room: u64) -> anyhow::Result<u64> {
    let page = history(member, wire::MessageHistory { room, limit: Some(1), ..Default::default() }).await?;
    Ok(page.messages.last().context("the room is empty")?.seq)
}

async fn page_us(member: &Rc<Member>, room: u64, before: u64) -> anyhow::Result<f64> {
    let began = Instant::now();
    let request = wire::MessageHistory { room, before: Some(before), limit: Some(PAGE), ..Default::default() };
    let page = history(member, request).await?;
    let elapsed = began.elapsed().as_secs_f64() * 1e6;
    ensure!(page.messages.len() == PAGE as usize, "a page before {before} has {} messages", page.messages.len());
    Ok(elapsed)
}
