//! Judges a run by its history, and by nothing else.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::check::Check;
use super::history::deed::Deed;
use super::history::meta::{End, Meta};
use super::history::reader::History;
use super::verdict::Verdict;
use crate::check::Kind;

/// What a run proves.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// What was counted, and every promise that was broken.
    pub verdict: Verdict,
    /// Why the run proves nothing; empty if it does.
    pub doubts: Vec<String>,
    meta: Meta,
    deeds: Vec<Deed>,
}

/// Reads a history and judges it.
///
/// # Errors
/// When it is none, or cannot be read.
pub fn judge(folder: &Path) -> anyhow::Result<Judgement> {
    let mut history = History::open(folder)?;
    let mut check = Check::beside(history.deeds.clone());
    if history.meta.may_lose_what_was_not_stored() {
        check.excuse_what_was_not_stored();
    }
    history.for_each(|told| check.take(&told))?;
    let History { meta, deeds, logs, .. } = history;
    check.finish(&logs);
    for deed in &deeds {
        let bound = meta.recovery_max_ms + deed.noticed_within_ms;
        if let Some(took) = deed.recovery_ms.filter(|took| *took > bound) {
            let told = deed.told();
            check.violations.add(Kind::Unsettled, || format!("{told}: no ack for {:.2} s after it", took / 1e3));
        }
    }
    if let Some(why) = meta.end.as_ref().and_then(|end| end.unsettled.clone()) {
        check.violations.add(Kind::Unsettled, || why);
    }
    let settled = meta.end.as_ref().map_or(0.0, |end| end.settled_ms);
    let verdict = Verdict {
        seed: meta.seed,
        tally: check.tally,
        violations: check.violations,
        settled: Duration::from_secs_f64(settled / 1e3),
    };
    let doubts = doubts(&meta, &deeds, &verdict, logs.is_empty());
    Ok(Judgement { verdict, doubts, meta, deeds })
}

/// What keeps a run from proving anything.
fn doubts(meta: &Meta, deeds: &[Deed], verdict: &Verdict, no_logs: bool) -> Vec<String> {
    let mut doubts = Vec::new();
    if meta.end.is_none() {
        doubts.push("the run did not come to its end".to_owned());
    }
    if no_logs {
        doubts.push("nobody read the logs in the end".to_owned());
    }
    if verdict.acked() < meta.acks_min {
        let acked = verdict.acked();
        doubts.push(format!("{acked} messages were acknowledged; {} are the least that say anything", meta.acks_min));
    }
    if verdict.tally.clients_over_rest > 0 && verdict.tally.acked_over_rest == 0 {
        doubts.push("no message was acknowledged over REST".to_owned());
    }
    if meta.abusers > 0 && verdict.tally.thrown_out.is_empty() {
        doubts.push("nobody who means harm was thrown out".to_owned());
    }
    for deed in deeds.iter().filter(|deed| !deed.has_bitten()) {
        doubts.push(format!("a fault did not bite: {}: {}", deed.told(), deed.proofs()));
    }
    if deeds.len() < meta.schedule.len() {
        doubts.push(format!("{} faults were planned and {} were done", meta.schedule.len(), deeds.len()));
    }
    doubts
}

impl Judgement {
    /// 0: every promise was kept, and every fault bit. 1: a promise was broken. 2: the run proves nothing.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match (self.verdict.is_clean(), self.doubts.is_empty()) {
            (false, _) => ExitCode::FAILURE,
            (true, false) => ExitCode::from(2),
            (true, true) => ExitCode::SUCCESS,
        }
    }

    /// Whether every promise was kept, and the run shows it.
    #[must_use]
    pub fn is_proof(&self) -> bool {
        self.verdict.is_clean() && self.doubts.is_empty()
    }

    /// How often each kind of fault was done.
    #[must_use]
    pub fn faults(&self) -> std::collections::BTreeMap<String, usize> {
        let mut faults = std::collections::BTreeMap::new();
        for deed in &self.deeds {
            *faults.entry(deed.fault.clone()).or_insert(0) += 1;
        }
        faults
    }

    /// Median and highest time from the end of a fault to the first ack after it, in milliseconds; of those that were
    /// measured.
    #[must_use]
    pub fn recovery_ms(&self) -> Option<(f64, f64)> {
        let mut took: Vec<f64> = self.deeds.iter().filter_map(|deed| deed.recovery_ms).collect();
        took.sort_by(f64::total_cmp);
        Some((*took.get(took.len() / 2)?, *took.last()?))
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Meta { store, nodes, clients, rooms, version, .. } = &self.meta;
        writeln!(f, "{store}, {nodes} node(s), {clients} clients, {rooms} rooms; {}", version.trim())?;
        let faults: Vec<_> = self.faults().into_iter().map(|(name, count)| format!("{name} x {count}")).collect();
        writeln!(f, "faults: {}", if faults.is_empty() { "none".to_owned() } else { faults.join(", ") })?;
        if let Some((median, highest)) = self.recovery_ms() {
            let (bound, seconds) = (self.meta.recovery_max_ms / 1e3, |ms: f64| ms / 1e3);
            writeln!(
                f,
                "from the end of a fault to the first ack: p50 {:.2} s, max {:.2} s (bound {bound:.0} s)",
                seconds(median),
                seconds(highest)
            )?;
        }
        if let Some(End { settled_again_ms: Some(again), .. }) = &self.meta.end {
            writeln!(f, "settled again {:.2} s after all nodes were restarted", again / 1e3)?;
        }
        write!(f, "{}", self.verdict)?;
        if self.doubts.is_empty() {
            return Ok(());
        }
        write!(f, "\n  THE RUN PROVES NOTHING:")?;
        self.doubts.iter().try_for_each(|doubt| write!(f, "\n    - {doubt}"))
    }
}

#[cfg(test)]
mod tests;
