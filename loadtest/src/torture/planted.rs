//! Bugs on purpose, each with the run that finds it: a checker that never found anything proves nothing.
//!
//! A build for tests can have one (actors/src/plant.rs). Each case is the same run twice, by the same seed and the same
//! schedule: with the bug, which the invariant that names it must find, and without it, which must be clean.

use std::path::Path;

use anyhow::ensure;

use super::cli::{Order, Store};
use super::conduct::conduct;
use super::judge::Judgement;
use crate::say::say;

/// A bug and what finds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Case {
    /// Its name, as `BOBCHAT_PLANT` takes it.
    pub bug: &'static str,
    /// What it is a bug of: the first store that shows it.
    pub store: Store,
    /// The invariant that names it.
    pub invariant: &'static str,
    /// What has to be broken for it to show.
    faults: &'static [&'static str],
    /// How long it takes.
    secs: f64,
}

/// All but `ack-before-fsync`: a process that is killed leaves what it wrote in the system's cache, where the next one
/// finds it. Power that fails is simulated: `ack_before_fsync_is_found` in simulation/tests/seeds.rs.
pub const CASES: [Case; 8] = [
    alone("ack-before-write", "I1 durable ack"),
    alone("double-on-retry", "I2 idempotent"),
    alone("delivery-after-leave", "I10 removal"),
    alone("reorder-on-resume", "I4 order"),
    alone("removed-member-accepted", "I10 removal"),
    shared("no-gap-check", "I4 order", &["redis-subscribers"], 12.0),
    shared("lost-on-epoch-change", "I1 durable ack", &["redis-flush"], 15.0),
    shared("trim-before-archive", "I1 durable ack", &["restart"], 20.0),
];

const fn alone(bug: &'static str, invariant: &'static str) -> Case {
    Case { bug, store: Store::Embedded, invariant, faults: &["kill"], secs: 6.0 }
}

const fn shared(bug: &'static str, invariant: &'static str, faults: &'static [&'static str], secs: f64) -> Case {
    Case { bug, store: Store::Cluster, invariant, faults, secs }
}

impl Case {
    /// The run that finds it, with the bug or without; all else as in `like`.
    #[must_use]
    pub fn order(&self, like: &Order, planted: bool) -> Order {
        let name = if planted { self.bug.to_owned() } else { format!("no-{}", self.bug) };
        Order {
            seed: 11,
            secs: self.secs,
            store: self.store,
            nodes: if self.store == Store::Cluster { 2 } else { 1 },
            faults: self.faults.iter().map(|fault| (*fault).to_owned()).collect(),
            every: Some(2.0),
            clients: 16,
            rooms: 4,
            rate: 10.0,
            plant: planted.then(|| self.bug.to_owned()),
            out: like.out.join(name),
            ..like.clone()
        }
    }
}

/// Runs all cases of a store, or of both, and says what came out. Gives those that are not as they must be.
///
/// # Errors
/// When a run cannot be made.
pub(super) fn run_all(like: &Order, store: Option<Store>) -> anyhow::Result<Vec<&'static str>> {
    let mut wrong = Vec::new();
    for case in CASES.iter().filter(|case| store.is_none_or(|store| store == case.store)) {
        let found = conduct(&case.order(like, true))?;
        let clean = conduct(&case.order(like, false))?;
        let is_right = is_found(case, &found) && clean.is_proof();
        let by = found.verdict.invariants().join(", ");
        let without = if clean.is_proof() { "clean".to_owned() } else { format!("NOT CLEAN\n{clean}") };
        let by = if is_found(case, &found) { by } else { format!("NOT FOUND by {}: {by}", case.invariant) };
        say(&format!("{:24} {:9} {by}; without it: {without}", case.bug, case.store.name()));
        if !is_right {
            wrong.push(case.bug);
        }
    }
    Ok(wrong)
}

/// Whether the invariant that names a bug was broken.
fn is_found(case: &Case, judgement: &Judgement) -> bool {
    judgement.verdict.invariants().contains(&case.invariant)
}

/// Refuses what is no build for tests before any run.
///
/// # Errors
/// When the server is not there.
pub(super) fn must_exist(bobchat: &Path) -> anyhow::Result<()> {
    ensure!(bobchat.is_file(), "there is no {}: cargo build -p bobchat --features planted-bugs", bobchat.display());
    Ok(())
}
