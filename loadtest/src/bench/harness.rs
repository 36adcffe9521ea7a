//! The harness itself: how many deliveries one core of it checks. It must not be what is measured.

use std::time::Instant;

use super::Bench;
use super::bars::Bar;
use super::fanout::BYTES;
use super::judge::Line;
use crate::client::{Fleet, Shape};
use crate::dialect::Dialect;
use crate::load::Schedule;
use crate::process::Process;
use crate::statistics::Spread;

/// Messages in a burst.
const BURST: u64 = 8;

/// One room, so that each message is checked at a thousand members.
const SHAPE: Shape = Shape { rooms: 1, members: 1_000, receivers: 1_000, bytes: BYTES };

/// Bursts a second: 160 000 deliveries a second, a little more than the goal, from the cheapest server there is.
const BURSTS_A_SECOND: f64 = 20.0;

/// More messages in a read than are in a burst, by this much: the harness was late, and looks cheaper than it is.
const COALESCED_MAX: f64 = 1.1;

/// Measures the line: deliveries for each second that the harness spent on its core.
///
/// # Errors
/// When the floor ends, or the check of a delivery fails.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    if !bench.wants(Bar::Harness) {
        return Ok(());
    }
    let floor = bench.installation.start_other(Dialect::Floor, &[])?;
    let fleet = Fleet::enter(&floor.target, SHAPE, &[]).await?;
    let (kept, seconds) = (bench.options.kept, bench.options.seconds);
    let schedule = Schedule { rate: BURSTS_A_SECOND * BURST as f64, burst: BURST, together: 1, seconds };
    // The first run pays for pages that later ones find warm.
    checked(&fleet, Schedule { seconds: 0.5, ..schedule }).await?;
    let mut runs = Vec::new();
    for _ in 0..kept {
        runs.push(checked(&fleet, schedule).await?);
    }
    let violations = fleet.finish(false);
    anyhow::ensure!(violations.is_empty(), "the floor broke a promise: {:?}", violations.examples);
    bench.take(line(&runs, kept));
    Ok(())
}

/// What one run gave.
#[derive(Clone, Copy)]
struct Run {
    /// Deliveries for each second of CPU.
    on_a_core: f64,
    /// Deliveries for each second that went by.
    a_second: f64,
    a_read: f64,
}

async fn checked(fleet: &Fleet, schedule: Schedule) -> anyhow::Result<Run> {
    fleet.shared.checker.borrow_mut().begin();
    let (began, before) = (Instant::now(), Process::own().usage()?);
    schedule.run(fleet).await?;
    fleet.settle(false).await;
    let (passed, spent) = (began.elapsed().as_secs_f64(), Process::own().usage()?.seconds_since(&before));
    let checker = fleet.shared.checker.borrow();
    let counts = checker.counts();
    let delivered = counts.delivered as f64;
    Ok(Run {
        on_a_core: delivered / spent,
        a_second: delivered / passed,
        a_read: delivered / counts.reads.max(1) as f64,
    })
}

fn line(runs: &[Run], kept: usize) -> Line {
    let figures: Vec<f64> = runs.iter().map(|run| run.on_a_core).collect();
    let mut line = Line::judged(Bar::Harness, &figures, kept, runs.len());
    let median = |figure: fn(&Run) -> f64| Spread::of(&runs.iter().map(figure).collect::<Vec<_>>());
    if let (Some(second), Some(read)) = (median(|run| run.a_second), median(|run| run.a_read)) {
        line.notes.push(format!("{:.0} deliveries/s meanwhile, {:.1} a read", second.median, read.median));
    }
    let late = runs.iter().filter(|run| run.a_read > COALESCED_MAX * BURST as f64).count();
    if late > 0 {
        line.notes.push(format!("{late} of {} runs were late: bursts came together, which looks cheap", runs.len()));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::super::judge::Verdict;
    use super::*;

    #[test]
    fn a_harness_that_checks_too_few_fails_and_one_that_was_late_says_so() {
        let run = |on_a_core, a_read| Run { on_a_core, a_second: 160_000.0, a_read };
        let good = line(&[run(200_000.0, 8.0), run(190_000.0, 8.0)], 2);
        assert_eq!((good.verdict, good.notes.len()), (Verdict::Met, 1));
        let slow = line(&[run(90_000.0, 12.0), run(95_000.0, 8.0)], 2);
        assert!(slow.verdict.is_failure() && slow.notes[1].contains("1 of 2 runs were late"), "{:?}", slow.notes);
    }
}
