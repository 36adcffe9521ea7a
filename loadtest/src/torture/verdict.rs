//! What a run says.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::check::Tally;
use crate::check::{Kind, Violations};

/// The end of a run: what was counted, and every promise that was broken.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub(super) seed: u64,
    pub(super) tally: Tally,
    pub(super) violations: Violations,
    pub(super) settled: Duration,
}

impl Verdict {
    /// Messages that were acknowledged.
    #[must_use]
    pub const fn acked(&self) -> u64 {
        self.tally.acked
    }

    /// Acknowledged messages that stand nowhere.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.tally.lost
    }

    /// Events that were put back at a later position, and say so.
    #[must_use]
    pub const fn renumbered(&self) -> u64 {
        self.tally.renumbered
    }

    /// How often a stream was told to begin anew.
    #[must_use]
    pub const fn resets(&self) -> u64 {
        self.tally.resets
    }

    /// How often a request was answered with this code.
    #[must_use]
    pub fn errors(&self, code: &str) -> u64 {
        self.tally.errors.get(code).copied().unwrap_or(0)
    }

    /// How long it took until all was acknowledged and all heads were equal.
    #[must_use]
    pub const fn settled(&self) -> Duration {
        self.settled
    }

    /// The kinds of promises that were broken.
    pub fn broken(&self) -> impl Iterator<Item = Kind> + '_ {
        self.violations.counts.keys().copied()
    }

    /// The invariants that were broken, each once.
    #[must_use]
    pub fn invariants(&self) -> Vec<&'static str> {
        let mut broken: Vec<_> = self.broken().map(Kind::invariant).collect();
        broken.sort_unstable();
        broken.dedup();
        broken
    }

    /// Whether every promise was kept.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }
}

impl Verdict {
    fn counted(&self, kinds: &[Kind]) -> u64 {
        kinds.iter().filter_map(|kind| self.violations.counts.get(kind)).sum()
    }

    fn count_messages(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { sent, acked, acked_over_rest, lost, excused, renumbered, .. } = &self.tally;
        let seed = self.seed;
        write!(f, "{sent} messages, {acked} acknowledged ({acked_over_rest} over REST), {lost} lost")?;
        if *excused > 0 {
            write!(f, " ({excused} of the class that docs/guarantees.md names)")?;
        }
        writeln!(f, ", {renumbered} renumbered; seed {seed}")?;
        writeln!(
            f,
            "  doubled {}, phantom {}, reordered {}, unannounced gaps {}, late to removed {}",
            self.counted(&[Kind::Double]),
            self.counted(&[Kind::Phantom, Kind::Text, Kind::Vanished]),
            self.counted(&[Kind::Order, Kind::RealTime]),
            self.counted(&[Kind::Hole]),
            self.counted(&[Kind::Removal])
        )
    }

    fn count_work(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { delivered, again, moves, resets, connections, unanswered, errors, .. } = &self.tally;
        writeln!(f, "  {delivered} delivered, {again} sent again, {moves} joinings and leavings, {resets} resets,")?;
        writeln!(f, "  {connections} connections, {unanswered} unanswered")?;
        let thrown_out = self.tally.thrown_out.iter().map(|(abuse, count)| format!("{} x {count}", abuse.told()));
        let thrown_out = thrown_out.collect::<Vec<_>>().join(", ");
        if !thrown_out.is_empty() {
            writeln!(f, "  thrown out: {thrown_out}")?;
        }
        let mut told = String::new();
        for (code, count) in errors {
            write!(told, " {code} x {count}")?;
        }
        writeln!(f, "  settled in {:.2} s; refusals:{told}", self.settled.as_secs_f64())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.count_messages(f)?;
        self.count_work(f)?;
        if self.is_clean() {
            return write!(f, "  every promise kept");
        }
        write!(f, "  BROKEN:")?;
        for (kind, count) in &self.violations.counts {
            write!(f, " {} x {count} ({})", kind.name(), kind.invariant())?;
        }
        self.violations.examples.iter().try_for_each(|example| write!(f, "\n    - {example}"))
    }
}
