//! What a run was, beside what happened in it.

use serde::{Deserialize, Serialize};

/// The version of the format of histories. Another one is not read.
pub(in super::super) const FORMAT: u32 = 1;

/// What was asked for, of which build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Meta {
    pub(in super::super) format: u32,
    /// Names the choices of clients and nemesis.
    pub(in super::super) seed: u64,
    /// What the server says of itself: its version, and in a build for tests the planted bug.
    pub(in super::super) version: String,
    /// The planted bug, as it was asked for.
    pub(in super::super) plant: Option<String>,
    /// `embedded` or `cluster`.
    pub(in super::super) store: String,
    pub(in super::super) nodes: usize,
    pub(in super::super) clients: usize,
    /// Those who mean harm; their files come after those of the clients.
    #[serde(default)]
    pub(in super::super) abusers: usize,
    pub(in super::super) rooms: usize,
    pub(in super::super) seconds: f64,
    /// `log` or `history`: what an ack of a cluster says.
    pub(in super::super) ack: String,
    /// What was planned to go wrong, in words.
    pub(in super::super) schedule: Vec<String>,
    /// Fewer acknowledged messages prove nothing.
    pub(in super::super) acks_min: u64,
    /// How long it may take from the end of a fault until messages are acknowledged again.
    pub(in super::super) recovery_max_ms: f64,
    /// How the run ended; absent while it goes on.
    pub(in super::super) end: Option<End>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct End {
    /// How long it took, after everything was whole again, until all was acknowledged and all heads were equal.
    pub(in super::super) settled_ms: f64,
    /// The same after all nodes had been restarted.
    pub(in super::super) settled_again_ms: Option<f64>,
    /// Why it did not come to rest in time.
    pub(in super::super) unsettled: Option<String>,
}

impl Meta {
    /// Whether acks may be lost with Redis before history has them, which docs/guarantees.md names.
    pub(in super::super) fn may_lose_what_was_not_stored(&self) -> bool {
        self.store == "cluster" && self.ack == "log"
    }
}
