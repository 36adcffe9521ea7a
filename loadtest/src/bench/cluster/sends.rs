//! Acked messages a second through one node, against a bare client of the script that it calls.
//!
//! What is acked is stored later, and so it is here, between measurements: Cassandra stands still in them. It would
//! share two cores with everything else, and what was measured would be storing, at ten times the rate of the row that
//! is about it.

use std::time::Instant;

use indicatif::ProgressBar;

use super::super::child::Bobchat;
use super::super::fanout::BYTES;
use super::super::judge::{Repetition, Repetitions};
use super::bare::{Bare, Calls};
use super::rows::Row;
use super::site::{Site, wait_until_logs_are_old};
use super::{Bench, must_be_kept};
use crate::client::{Fleet, Shape, sign_in_guests};
use crate::load::{Until, Window};
use crate::process::{Process, Usage};
use crate::statistics::Spread;

/// Messages of a room on the way.
const WINDOW: u64 = 32;

/// What may wait to be stored of a room: more than a measurement sends. As many bytes as of all rooms together.
const UNARCHIVED_EVENTS: &str = "1000000";
const UNARCHIVED_BYTES: &str = "256MiB";

/// Measures one of the rows.
///
/// # Errors
/// When a server fails.
pub(super) async fn measure(bench: &mut Bench, row: Row, rooms: usize) -> anyhow::Result<()> {
    let bounds = [
        ("CLUSTER__UNARCHIVED_EVENTS_PER_ROOM", UNARCHIVED_EVENTS),
        ("CLUSTER__UNARCHIVED_BYTES_PER_ROOM", UNARCHIVED_BYTES),
    ];
    let site = Site::start(bench, 1, &bounds)?;
    let node = site.node(0)?;
    let users = sign_in_guests(&node.target(), rooms)?;
    let shape = Shape { rooms, members: 1, receivers: 1, bytes: BYTES };
    let fleet = Fleet::enter(&node.target(), shape, &users).await?;
    wait_until_logs_are_old(Instant::now()).await;
    let mut bare = Bare::start()?;
    let processes = [
        ("node", node.process()),
        ("its Redis", site.redis.process()),
        ("Cassandra", bench.cassandra.process()?),
        ("harness", Process::own()),
    ];
    let seconds = bench.options.seconds;
    let standing = bench.cassandra.pause()?;
    let trial = sent(node, &fleet, &processes, seconds).await?;
    drop(standing);
    let batch = (trial.batch.round() as usize).max(1);
    let calls = Calls { rooms, on_the_way: (WINDOW as usize).div_ceil(batch), batch, seconds };
    let (mut repetitions, mut all) = (Repetitions::default(), Vec::new());
    let bare_before = bare.redis().process().usage()?;
    let mut bare_events = 0.0;
    while !repetitions.are_done(bench.options.effort()) {
        // What is left to be stored would slow down whatever is measured next.
        site.wait_until_archived(0.0).await?;
        let floor_before = bare.events_a_second(calls)?;
        let standing = bench.cassandra.pause()?;
        let ours = sent(node, &fleet, &processes, seconds).await?;
        drop(standing);
        site.wait_until_archived(0.0).await?;
        let floor_after = bare.events_a_second(calls)?;
        repetitions.add(Repetition { floor_before, ours: ours.acked_a_second, floor_after });
        bare_events += (floor_before + floor_after) * seconds;
        all.push(ours);
    }
    let bare_us = bare.redis().process().usage()?.seconds_since(&bare_before) * 1e6 / bare_events.max(1.0);
    must_be_kept(fleet.finish(true))?;
    let mut line = repetitions.line(row, bench.options.effort(), "messages/s");
    let median = |figure: &dyn Fn(&Sent) -> f64| {
        Spread::of(&all.iter().map(figure).collect::<Vec<_>>()).map_or(0.0, |spread| spread.median)
    };
    line.notes.push(format!(
        "mean batch {:.1}; the bare client sends {batch} at a time, {} calls on the way",
        median(&|sent| sent.batch),
        calls.on_the_way * rooms
    ));
    let costs = processes.iter().enumerate();
    let costs = costs.map(|(number, (name, _))| {
        format!("{name} {:.1}", median(&|sent| sent.us.get(number).copied().unwrap_or_default()))
    });
    line.notes.push(format!(
        "us of CPU a message: {}; the bare client's Redis {bare_us:.1}",
        costs.collect::<Vec<_>>().join(", ")
    ));
    bench.take(line);
    Ok(())
}

/// What one measurement gave.
struct Sent {
    acked_a_second: f64,
    /// Events in an append, on average.
    batch: f64,
    /// CPU a message of each process.
    us: Vec<f64>,
}

async fn sent(node: &Bobchat, fleet: &Fleet, processes: &[(&str, Process)], seconds: f64) -> anyhow::Result<Sent> {
    let usage = || processes.iter().map(|(_, process)| process.usage()).collect::<anyhow::Result<Vec<Usage>>>();
    let (metrics, before) = (node.metrics()?, usage()?);
    fleet.shared.checker.borrow_mut().begin();
    let began = Instant::now();
    Window { window: WINDOW, until: Until::Seconds(seconds) }.run(fleet, &ProgressBar::hidden()).await;
    let acked = fleet.shared.checker.borrow().counts().acked as f64;
    let acked_a_second = acked / began.elapsed().as_secs_f64();
    let used = usage()?;
    let spent = used.iter().zip(&before).map(|(after, before)| after.seconds_since(before));
    let us = spent.map(|seconds| seconds * 1e6 / acked.max(1.0)).collect();
    let after = node.metrics()?;
    let count = |name: &str| Ok::<_, anyhow::Error>(after.sum(name)? - metrics.sum(name)?);
    let batch = count("bobchat_append_events_sum")? / count("bobchat_append_events_count")?.max(1.0);
    fleet.settle(true).await;
    Ok(Sent { acked_a_second, batch, us })
}
