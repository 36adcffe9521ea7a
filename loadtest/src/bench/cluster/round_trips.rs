//! How many commands a node sends Redis for a batch that it appends.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::super::fanout::BYTES;
use super::super::judge::Line;
use super::monitor::Monitor;
use super::rows::Row;
use super::site::Site;
use super::{Bench, must_be_kept};
use crate::client::{Fleet, Shape, sign_in_guests};
use crate::load::{Until, Window};
use crate::metrics::Metrics;

/// Batches of a round: what a node asks in its own time is little beside them.
const BATCHES: u64 = 5_000;

/// How long the node is watched doing nothing.
const IDLE: Duration = Duration::from_secs(12);

/// So long that nothing is stored while batches are counted: storing asks Redis too, for many batches at once.
const ARCHIVE_AFTER: &str = "60s";

/// Measures the row.
///
/// # Errors
/// When a server fails.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    let site = Site::start(bench, 1, &[("CLUSTER__ARCHIVE_AFTER", ARCHIVE_AFTER)])?;
    let node = site.node(0)?;
    let users = sign_in_guests(&node.target(), 1)?;
    let shape = Shape { rooms: 1, members: 1, receivers: 1, bytes: BYTES };
    let fleet = Fleet::enter(&node.target(), shape, &users).await?;
    let monitor = Monitor::start(&site.redis)?;
    let idle = monitor.commands()?;
    tokio::time::sleep(IDLE).await;
    let idle_a_second = monitor.commands()?.since(&idle) as f64 / IDLE.as_secs_f64();
    let (mut figures, node_before) = (Vec::new(), node.metrics()?);
    for _ in 0..bench.options.kept {
        let batches = || node.metrics()?.sum("bobchat_append_events_count");
        let (before, batches_before, began) = (monitor.commands()?, batches()?, Instant::now());
        // One message at a time, so that each is a batch.
        Window { window: 1, until: Until::Messages(BATCHES) }.run(&fleet, &ProgressBar::hidden()).await;
        fleet.settle(true).await;
        let commands = monitor.commands()?.since(&before) as f64 - idle_a_second * began.elapsed().as_secs_f64();
        figures.push(commands / (batches()? - batches_before).max(1.0));
    }
    let node_after = node.metrics()?;
    must_be_kept(fleet.finish(true))?;
    let mut line = Line::judged(Row::RoundTrips, &figures, bench.options.kept, figures.len());
    line.notes.push(format!(
        "{BATCHES} batches a round, by MONITOR, less the {idle_a_second:.1} commands a second of a node that does nothing"
    ));
    line.notes.push(format!("what the node asked meanwhile: {}", asked(&node_before, &node_after)));
    bench.take(line);
    Ok(())
}

/// Calls by what they are for, as the node counts them.
fn asked(before: &Metrics, after: &Metrics) -> String {
    let operations = ["append", "tail", "claim", "advance", "lease", "changed", "dirty", "info", "zrange", "publish"];
    let counts = operations.iter().filter_map(|operation| {
        let label = format!("operation=\"{operation}\"");
        let count = |metrics: &Metrics| metrics.sum_where("bobchat_redis_call_seconds_count", &label);
        Some(count(after) - count(before)).filter(|count| *count > 0.0).map(|count| format!("{operation} {count:.0}"))
    });
    counts.collect::<Vec<_>>().join(", ")
}
