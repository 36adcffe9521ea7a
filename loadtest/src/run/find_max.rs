//! The highest load that holds: users are doubled until a bound breaks, then the gap between what held and what
//! broke is halved until it is small.

use serde::{Deserialize, Serialize};

use super::conduct::{self, Plan};
use super::outcome::Outcome;
use crate::say::say;
use crate::scenario::{Bounds, Scenario};

/// What held and what broke are this near in the end, as a part of what held.
const GAP: f64 = 0.1;

/// Runs that are tried at most.
const STEPS_MAX: usize = 20;

/// A harness that uses more of a core measures itself.
const HARNESS_CPU_MAX: f64 = 0.95;

/// How the highest load that held was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Search {
    pub(crate) bounds: Bounds,
    /// Users of the highest load that held; absent when none did.
    pub(crate) highest: Option<usize>,
    pub(crate) steps: Vec<Step>,
}

/// One run of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) users: usize,
    pub(crate) held: bool,
    /// The bound that broke; empty when none did.
    pub(crate) why: String,
    /// The highest 99th percentile of all latencies, in milliseconds.
    pub(crate) p99_ms: f64,
    pub(crate) delivered_per_second: f64,
}

/// Raises the users of a scenario until a bound breaks, steps back, and gives the outcome of the highest load that
/// held, or of the lowest that did not.
///
/// # Errors
/// When the first run cannot be done. One that cannot be done later is one that broke.
pub(crate) async fn run(plan: &Plan, scenario: &Scenario) -> anyhow::Result<Outcome> {
    let bounds = scenario.bounds;
    let mut search = Narrowing::default();
    let (mut steps, mut best): (Vec<Step>, Option<Outcome>) = (Vec::new(), None);
    let mut next = Some(scenario.users());
    while let Some(users) = next.filter(|_| steps.len() < STEPS_MAX) {
        let grown = scenario.with_users(users);
        let users = grown.users();
        // Rooms are whole: the nearest number may have been tried.
        if steps.iter().any(|step| step.users == users) {
            break;
        }
        let step = match conduct::run(plan, &grown).await {
            Ok(outcome) => {
                let step = judge(&outcome, bounds);
                if step.held || best.is_none() {
                    best = Some(outcome);
                }
                step
            }
            Err(error) if best.is_none() => return Err(error),
            Err(error) => {
                Step { users, held: false, why: format!("{error:#}"), p99_ms: 0.0, delivered_per_second: 0.0 }
            }
        };
        say(&step.line());
        next = search.next(users, step.held);
        steps.push(step);
    }
    let mut outcome = best.ok_or_else(|| anyhow::anyhow!("nothing was tried"))?;
    outcome.search = Some(Search { bounds, highest: search.held, steps });
    Ok(outcome)
}

fn judge(outcome: &Outcome, bounds: Bounds) -> Step {
    let worst = outcome.latency.bounded().max_by_key(|(_, latency)| latency.p99_us);
    let p99_ms = worst.map_or(0.0, |(_, latency)| latency.p99_us as f64 / 1e3);
    let errors = outcome.violations.total() as f64 / outcome.totals.done().max(1) as f64;
    let why = if errors > bounds.errors {
        let example = outcome.violations.examples.first().map_or("", String::as_str);
        format!("errors {:.4} % of all: {example}", errors * 100.0)
    } else if p99_ms > bounds.p99_ms {
        format!("{} p99 {p99_ms:.0} ms above {} ms", worst.map_or("", |(name, _)| name), bounds.p99_ms)
    } else if outcome.harness_cpu > HARNESS_CPU_MAX {
        format!("the harness used {:.0} % of a core: use more --processes", outcome.harness_cpu * 100.0)
    } else {
        String::new()
    };
    let delivered_per_second = outcome.totals.delivered as f64 / outcome.seconds.max(f64::EPSILON);
    Step { users: outcome.scenario.users(), held: why.is_empty(), why, p99_ms, delivered_per_second }
}

impl Step {
    fn line(&self) -> String {
        let Self { users, p99_ms, delivered_per_second, .. } = self;
        let verdict = if self.held { "held" } else { self.why.as_str() };
        format!("{users:>8} users  {delivered_per_second:>8.0} delivered/s  p99 {p99_ms:>7.1} ms  {verdict}")
    }
}

impl Search {
    /// The search in words.
    pub(crate) fn text(&self) -> String {
        let Bounds { p99_ms, errors } = self.bounds;
        let bounds = format!("p99 {p99_ms} ms, errors {} %", errors * 100.0);
        match self.highest {
            Some(users) => format!("the highest load that held: {users} users (bounds: {bounds})"),
            None => format!("no load held, not even the smallest that was tried (bounds: {bounds})"),
        }
    }
}

/// What held and what broke so far.
#[derive(Debug, Default)]
struct Narrowing {
    held: Option<usize>,
    broke: Option<usize>,
}

impl Narrowing {
    /// Takes what became of a number of users; gives the next to try, or nothing when it is found.
    fn next(&mut self, users: usize, held: bool) -> Option<usize> {
        if held {
            self.held = self.held.max(Some(users));
        } else {
            self.broke = Some(self.broke.map_or(users, |broke| broke.min(users)));
        }
        match (self.held, self.broke) {
            (Some(held), None) => Some(held * 2),
            (None, Some(broke)) => Some(broke / 2).filter(|users| *users > 0),
            (Some(held), Some(broke)) => {
                let gap = broke.saturating_sub(held);
                (gap > 1 && gap as f64 > held as f64 * GAP).then_some(held + gap / 2)
            }
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The users that a search ends with, and how many runs it took, where `limit` is the most that hold.
    fn search(start: usize, limit: usize) -> (Option<usize>, usize) {
        let mut narrowing = Narrowing::default();
        let (mut next, mut runs) = (Some(start), 0);
        while let Some(users) = next {
            next = narrowing.next(users, users <= limit);
            runs += 1;
        }
        (narrowing.held, runs)
    }

    #[test]
    fn the_highest_load_is_found_within_a_tenth_from_above_and_from_below() {
        for (start, limit) in [(10, 730), (10_000, 730), (100, 100), (1, 1), (64, 4_096)] {
            let (held, runs) = search(start, limit);
            let held = held.unwrap();
            assert!(held <= limit && held as f64 >= limit as f64 * 0.9 && runs <= STEPS_MAX, "{start} {limit}: {held}");
        }
        assert_eq!(search(8, 0).0, None);
    }
}
