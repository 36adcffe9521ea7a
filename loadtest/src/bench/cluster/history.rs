//! A page of 50 messages far back against one near the end, where Cassandra has them.

use anyhow::{Context as _, ensure};
use indicatif::ProgressBar;

use super::super::fanout::BYTES;
use super::super::history::{NEAR, compare};
use super::rows::Row;
use super::site::Site;
use super::{Bench, must_be_kept};
use crate::client::{Fleet, Shape, sign_in_guests};
use crate::load::{Until, Window, progress_bar};
use crate::say::say;

/// Those who fill the room, and how much each has on the way.
const SENDERS: usize = 8;
const WINDOW: u64 = 60;

/// Messages that are sent before it is looked how many are stored, and how many may not be by then: together below
/// what may wait of a room.
const AT_ONCE: u64 = 10_000;
const BEHIND: f64 = 5_000.0;

/// Measures the row.
///
/// # Errors
/// When a server fails.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    let site = Site::start(bench, 1, &[])?;
    let node = site.node(0)?;
    let users = sign_in_guests(&node.target(), SENDERS)?;
    let shape = Shape { rooms: 1, members: SENDERS, receivers: 1, bytes: BYTES };
    let fleet = Fleet::enter(&node.target(), shape, &users).await?;
    let far = bench.options.messages;
    let (messages, began) = (far + NEAR, std::time::Instant::now());
    let progress = progress_bar("storing");
    progress.set_length(messages);
    let mut sent = 0;
    while sent < messages {
        let count = AT_ONCE.min(messages - sent);
        Window { window: WINDOW, until: Until::Messages(count) }.run(&fleet, &ProgressBar::hidden()).await;
        fleet.settle(true).await;
        sent += count;
        progress.set_position(sent);
        let acked = fleet.shared.checker.borrow().counts().acked;
        ensure!(acked == sent, "only {acked} of {sent} messages were acked");
        site.wait_until_archived(BEHIND).await?;
    }
    site.wait_until_archived(0.0).await?;
    progress.finish_and_clear();
    let rate = messages as f64 / began.elapsed().as_secs_f64();
    say(&format!("stored {messages} messages of one room, {rate:.0}/s"));
    let room = fleet.rooms.first().context("a room was filled")?;
    let reader = room.members.last().context("the room has members")?;
    let mut line = compare(Row::History, reader, room.id, far, bench.options.kept).await?;
    line.notes.push(format!("they were sent and stored at {rate:.0}/s"));
    must_be_kept(fleet.finish(true))?;
    bench.take(line);
    Ok(())
}
