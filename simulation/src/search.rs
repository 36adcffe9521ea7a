//! Many runs: seeds that have to be clean, bugs that have to be found, and what is said of one that fails.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bobchat_actors::plant::Bug;

use crate::run::{Outcome, run};
use crate::schedule::{Schedule, Site};
use crate::shrink::shrink;
use crate::world::Story;

/// What failed once: `simulation/regressions.txt`.
const REGRESSIONS: &str = include_str!("../regressions.txt");

/// A run that broke something.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Where.
    pub site: Site,
    /// Its seed.
    pub seed: u64,
    /// What came of it.
    pub outcome: Outcome,
}

impl Failure {
    /// What broke, how to see it again, and the least that it takes.
    #[must_use]
    pub fn explain(&self, bug: Option<Bug>) -> String {
        let Self { site, seed, outcome } = self;
        let mut text = format!("{} seed {seed} is broken:\n", site.name());
        for broken in &outcome.broken {
            let _ = writeln!(text, "  {}: {}", broken.invariant, broken.what);
        }
        let plant = bug.map(|bug| format!("BOBCHAT_PLANT={} ", bug.name())).unwrap_or_default();
        let _ = writeln!(text, "again: {plant}cargo run -p bobchat-simulation -- {} --seed {seed} --tell", site.name());
        if let Some(first) = outcome.broken.first() {
            let least = shrink(&Schedule::of(*site, *seed), bug, first.invariant);
            let _ = writeln!(text, "the least that breaks \"{}\":", first.invariant);
            let troubles = least.troubles.iter().map(|trouble| format!("  {trouble:?}\n"));
            text.extend(troubles.chain(least.acts.iter().map(|act| format!("  {act:?}\n"))));
            let _ = writeln!(text, "as a line of simulation/regressions.txt:\n{least}");
        }
        text
    }
}

/// Runs these seeds on two threads, for CI has as many processors; gives those that broke something, by seed. Stops at
/// the first when that is enough.
#[must_use]
pub fn try_seeds(
    site: Site,
    seeds: Range<u64>,
    bug: Option<Bug>,
    is_enough: impl Fn(&Outcome) -> bool + Sync,
) -> Vec<Failure> {
    let next = AtomicU64::new(seeds.start);
    let end = AtomicU64::new(seeds.end);
    let work = || {
        let mut failures = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end.load(Ordering::Relaxed) {
                return failures;
            }
            let outcome = run(&Schedule::of(site, seed), bug, Story::Silent);
            if is_enough(&outcome) {
                end.fetch_min(seed, Ordering::Relaxed);
            }
            if !outcome.broken.is_empty() {
                failures.push(Failure { site, seed, outcome });
            }
        }
    };
    let mut failures: Vec<Failure> = thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut failures = work();
        // A run catches what panics in the server; what panics beside it must not pass for a clean seed.
        failures.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        failures
    });
    failures.sort_by_key(|failure| failure.seed);
    failures
}

/// A run that found something once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regression {
    /// All of it.
    pub schedule: Schedule,
    /// What it finds where that bug is planted; nothing where it was a bug of its own, which is mended.
    pub planted: Option<Bug>,
}

/// The runs that are kept.
///
/// # Errors
/// A line that is none.
pub fn regressions() -> Result<Vec<Regression>, String> {
    let lines = REGRESSIONS.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| regression(line).map_err(|why| format!("{why}: {line:?}"))).collect()
}

/// Reads `NAME-OF-A-BUG {..}` or `{..}`.
fn regression(line: &str) -> Result<Regression, String> {
    let (name, schedule) = line.split_at(line.find('{').ok_or("no schedule")?);
    let schedule = schedule.parse().map_err(|error| format!("not a schedule: {error}"))?;
    let planted = match name.trim() {
        "" => None,
        name => Some(name.parse().map_err(|_| "no such bug")?),
    };
    Ok(Regression { schedule, planted })
}
