//! Memory of an idle connection: members of rooms of ten that say nothing, heartbeats on.

use super::Comparison;
use super::cast::{Contestant, Disk};
use super::row::{Measure, Repetition, Row, Sample};
use crate::bench::idle;

const MEASURE: Measure = Measure { title: "memory of an idle connection", unit: "KB", more_is_better: false };

/// Repetitions at most: each starts every server anew, and what it takes hardly varies.
const REPETITIONS_MAX: usize = 3;

/// Measures the row.
///
/// # Errors
/// When a server fails.
pub(super) async fn measure(comparison: &mut Comparison) -> anyhow::Result<()> {
    let who = [Contestant::Bobchat(Disk::Real), Contestant::SocketIo(None), Contestant::Baseline];
    let who: Vec<Contestant> = who.into_iter().chain(comparison.options.given.all()).collect();
    let connections = comparison.options.idle_connections;
    let needed = comparison.options.kept.min(REPETITIONS_MAX);
    let mut repetitions = Vec::new();
    for _ in 0..needed {
        let floor = sample(comparison, Contestant::Floor(None)).await?;
        let mut all = Vec::new();
        for who in &who {
            all.push(sample(comparison, *who).await?);
        }
        repetitions.push(Repetition { floor: [floor; 2], all });
    }
    let load = format!("{connections} connections");
    let row = Row::of(MEASURE, load, needed, needed, &who, &repetitions);
    comparison.take(row);
    Ok(())
}

async fn sample(comparison: &Comparison, who: Contestant) -> anyhow::Result<Sample> {
    let (connections, seconds) = (comparison.options.idle_connections, comparison.options.idle_seconds);
    let figure = if let Contestant::Bobchat(_) = who {
        Some(idle::ours(&comparison.installation, connections, seconds).await?.kilobytes)
    } else {
        let server = who.start(comparison)?;
        match server.process {
            Some(process) => Some(idle::others(&server.target, process, connections, seconds).await?),
            None => None,
        }
    };
    Ok(Sample { figure, p99_ms: None, deliveries_per_read: None, harness_cpu: None })
}
