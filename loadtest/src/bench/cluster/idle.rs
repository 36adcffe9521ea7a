//! What connections that say nothing cost Redis.

use std::time::Duration;

use super::super::fanout::BYTES;
use super::super::judge::Line;
use super::monitor::{Commands, Monitor};
use super::rows::Row;
use super::site::Site;
use super::{Bench, must_be_kept};
use crate::client::{Fleet, prepare_places, sign_in_guests};

/// Members of a room.
const MEMBERS: usize = 10;

/// How many are connected at first.
const FEW: usize = 100;

/// Until what comes with connecting is over: rooms that are followed, presence, what joins left to be stored.
const CALM: Duration = Duration::from_secs(10);

/// Measures the row.
///
/// # Errors
/// When a server fails.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    let many = bench.options.idle_connections.max(FEW + MEMBERS);
    let site = Site::start(bench, 1, &[])?;
    let node = site.node(0)?;
    let users = sign_in_guests(&node.target(), many)?;
    let mut places = prepare_places(&node.target(), &users, many / MEMBERS)?;
    places.sort_by_key(|place| place.room);
    let (first, others) = places.split_at(FEW.min(places.len()));
    site.wait_until_archived(0.0).await?;
    let monitor = Monitor::start(&site.redis)?;
    let first = Fleet::resume(&node.target(), first, BYTES).await?;
    let seconds = bench.options.idle_seconds;
    let few = a_minute(&monitor, seconds).await?;
    let others = Fleet::resume(&node.target(), others, BYTES).await?;
    let all = a_minute(&monitor, seconds).await?;
    must_be_kept(first.finish(false))?;
    must_be_kept(others.finish(false))?;
    let slope = (all.0 - few.0) / (many - FEW) as f64;
    let mut line = Line::judged(Row::Idle, &[slope.max(0.0)], 1, 1);
    line.notes.push(format!(
        "a node sends {:.0} commands a minute with {FEW} connections, {:.0} with {many}, counted over {seconds} s each",
        few.0, all.0
    ));
    line.notes.push(format!("with {many}: {}", all.1));
    bench.take(line);
    Ok(())
}

/// Commands a minute, and which.
async fn a_minute(monitor: &Monitor, seconds: u64) -> anyhow::Result<(f64, String)> {
    tokio::time::sleep(CALM).await;
    let before: Commands = monitor.commands()?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let after = monitor.commands()?;
    let length = seconds.max(1) as f64;
    Ok((after.since(&before) as f64 * 60.0 / length, after.names_since(&before, length)))
}
