//! How far storing is behind under load, and what acks do while Cassandra stands still.

use std::time::Instant;

use super::super::fanout::BYTES;
use super::super::judge::Line;
use super::rows::Row;
use super::site::{Site, wait_until_logs_are_old};
use super::{Bench, must_be_kept};
use crate::client::{Fleet, Shape, sign_in_guests};
use crate::load::Schedule;
use crate::statistics::Spread;

const ROOMS: usize = 100;
const READERS: usize = 3;

/// What a load gave.
struct Loaded {
    ack_p99_ms: f64,
    lag_p99: Option<f64>,
}

/// Measures both rows, on the same rooms.
///
/// # Errors
/// When a server fails.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    let site = Site::start(bench, 1, &[])?;
    let users = sign_in_guests(&site.node(0)?.target(), ROOMS * READERS)?;
    let shape = Shape { rooms: ROOMS, members: READERS, receivers: READERS, bytes: BYTES };
    let fleet = Fleet::enter(&site.node(0)?.target(), shape, &users).await?;
    wait_until_logs_are_old(Instant::now()).await;
    if bench.wants(Row::ArchiveLag) {
        let line = lag(bench, &site, &fleet).await?;
        bench.take(line);
    }
    if bench.wants(Row::CassandraPaused) {
        let line = paused(bench, &site, &fleet).await?;
        bench.take(line);
    }
    must_be_kept(fleet.finish(true))
}

async fn lag(bench: &Bench, site: &Site, fleet: &Fleet) -> anyhow::Result<Line> {
    // The first rounds pay for code and tables that later ones find warm.
    load(bench, site, fleet, bench.options.load_seconds / 2.0).await?;
    let (mut figures, mut acks) = (Vec::new(), Vec::new());
    for _ in 0..bench.options.kept {
        let loaded = load(bench, site, fleet, bench.options.load_seconds).await?;
        figures.extend(loaded.lag_p99);
        acks.push(loaded.ack_p99_ms);
        site.wait_until_archived(0.0).await?;
    }
    let mut line = Line::judged(Row::ArchiveLag, &figures, bench.options.kept, figures.len());
    let ack = Spread::of(&acks).map_or(0.0, |spread| spread.median);
    line.notes.push(format!(
        "{:.0} messages a second in {ROOMS} rooms with {READERS} readers each, {:.0} s a round; ack p99 {ack:.1} ms",
        bench.options.rate, bench.options.load_seconds
    ));
    Ok(line)
}

async fn paused(bench: &Bench, site: &Site, fleet: &Fleet) -> anyhow::Result<Line> {
    let (mut ratios, mut before, mut during) = (Vec::new(), Vec::new(), Vec::new());
    let mut notes = Vec::new();
    for _ in 0..bench.options.pauses {
        let calm = load(bench, site, fleet, bench.options.load_seconds).await?;
        site.wait_until_archived(0.0).await?;
        let memory_before = memory(site)?;
        let standing = bench.cassandra.pause()?;
        let held_up = load(bench, site, fleet, bench.options.pause_seconds).await?;
        let (waiting, memory_after) = (site.unarchived()?, memory(site)?);
        drop(standing);
        let stored = site.wait_until_archived(0.0).await?;
        ratios.push(held_up.ack_p99_ms / calm.ack_p99_ms);
        before.push(calm.ack_p99_ms);
        during.push(held_up.ack_p99_ms);
        notes.push(format!(
            "{waiting:.0} messages waited: node {:.0} -> {:.0} MB, Redis {:.1} -> {:.1} MB; stored {:.1} s later",
            memory_before.0,
            memory_after.0,
            memory_before.1,
            memory_after.1,
            stored.as_secs_f64()
        ));
    }
    let mut line = Line::judged(Row::CassandraPaused, &ratios, bench.options.pauses, ratios.len());
    line.absolute_unit = "ms";
    line.floor = Spread::of(&before).map(|spread| spread.median);
    line.ours = Spread::of(&during).map(|spread| spread.median);
    line.notes = notes;
    line.notes.push("bounded by cluster.unarchived_bytes_total on the node, unarchived_*_per_room in Redis".to_owned());
    Ok(line)
}

/// Megabytes that the node holds, and that Redis does.
fn memory(site: &Site) -> anyhow::Result<(f64, f64)> {
    let node = site.node(0)?.process().resident_bytes()?;
    Ok((node as f64 / 1e6, site.redis.used_bytes()? as f64 / 1e6))
}

async fn load(bench: &Bench, site: &Site, fleet: &Fleet, seconds: f64) -> anyhow::Result<Loaded> {
    let before = site.node(0)?.metrics()?;
    fleet.shared.checker.borrow_mut().begin();
    let schedule = Schedule { rate: bench.options.rate, burst: 1, together: 1, seconds };
    schedule.run(fleet).await?;
    fleet.settle(true).await;
    let ack_p99_ms = fleet.shared.checker.borrow().counts().ack_latency.value_at_quantile(0.99) as f64 / 1e3;
    let after = site.node(0)?.metrics()?;
    Ok(Loaded { ack_p99_ms, lag_p99: after.quantile_since(&before, "bobchat_archive_lag_seconds", 0.99) })
}
