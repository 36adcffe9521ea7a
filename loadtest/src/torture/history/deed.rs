//! What the nemesis did.

use serde::{Deserialize, Serialize};

use super::fact::Op;

/// How long after a fault something may still be of its making.
const AFTERMATH_NS: u64 = 2_000_000_000;

/// One thing that was broken, from its beginning until it was whole again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Deed {
    /// Its line in the history: when it was whole again.
    #[serde(flatten)]
    pub(in super::super) op: Op,
    /// The kind of fault, as the command line names it.
    pub(in super::super) fault: String,
    /// What it was done to.
    pub(in super::super) target: String,
    /// When it began, in nanoseconds since the run began.
    pub(in super::super) from_ns: u64,
    /// When it ended.
    pub(in super::super) until_ns: u64,
    /// What shows that it bit: what was counted, and how much.
    pub(in super::super) proof: Vec<Proof>,
    /// The node that it was done to, if it was one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(in super::super) node: Option<usize>,
    /// Whether it ended that node, so that all that it held is gone.
    #[serde(default)]
    pub(in super::super) ends: bool,
    /// Whether Redis lost what it held.
    #[serde(default)]
    pub(in super::super) loses_redis: bool,
    /// How long it took from its end until a message was acknowledged there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(in super::super) recovery_ms: Option<f64>,
    /// How long of that it may take until those that it was done to notice its end.
    #[serde(default)]
    pub(in super::super) noticed_within_ms: f64,
}

/// Something that was counted, which is as it should be only if a fault bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Proof {
    /// What was counted.
    pub(in super::super) what: String,
    /// What came out.
    pub(in super::super) value: String,
    /// Whether that shows that the fault bit.
    pub(in super::super) holds: bool,
}

impl Proof {
    /// A count that is above 0 if the fault bit.
    pub(in super::super) fn count(what: &str, count: u64) -> Self {
        Self { what: what.to_owned(), value: count.to_string(), holds: count > 0 }
    }

    /// Something that differs from before if the fault bit.
    pub(in super::super) fn changed(what: &str, before: &str, after: &str) -> Self {
        Self { what: what.to_owned(), value: format!("{before} -> {after}"), holds: before != after }
    }

    /// Something that is so if the fault bit.
    pub(in super::super) fn holds(what: &str, value: impl ToString, holds: bool) -> Self {
        Self { what: what.to_owned(), value: value.to_string(), holds }
    }
}

impl Deed {
    /// Whether all that was counted shows that it bit.
    pub(in super::super) fn has_bitten(&self) -> bool {
        !self.proof.is_empty() && self.proof.iter().all(|proof| proof.holds)
    }

    /// The node whose process it ended.
    pub(in super::super) fn ends_node(&self) -> Option<usize> {
        self.node.filter(|_| self.ends)
    }

    /// Whether Redis lost what it held.
    pub(in super::super) const fn loses_redis(&self) -> bool {
        self.loses_redis
    }

    /// Whether a moment is in it, or so shortly after that it may be of its making.
    pub(in super::super) const fn is_around(&self, t_ns: u64) -> bool {
        self.meets(t_ns, t_ns)
    }

    /// The same, of a time.
    pub(in super::super) const fn meets(&self, from_ns: u64, until_ns: u64) -> bool {
        self.from_ns <= until_ns && from_ns <= self.until_ns.saturating_add(AFTERMATH_NS)
    }

    /// For people: what, to whom and when.
    pub(in super::super) fn told(&self) -> String {
        let seconds = |ns: u64| ns as f64 / 1e9;
        format!("{} of {}, {:.2} s to {:.2} s", self.fault, self.target, seconds(self.from_ns), seconds(self.until_ns))
    }

    /// What was counted, for people.
    pub(in super::super) fn proofs(&self) -> String {
        let told = self.proof.iter().map(|proof| {
            let no = if proof.holds { "" } else { " (NOT AS IT SHOULD BE)" };
            format!("{}: {}{no}", proof.what, proof.value)
        });
        told.collect::<Vec<_>>().join("; ")
    }
}
