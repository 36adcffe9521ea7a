//! The result of a run as a document. docs/loadtest.md describes it; what reads it goes by `version`.

use std::path::Path;

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::agreement::Agreement;
use super::faults::Mark;
use super::find_max::Search;
use super::monitor::ServerPoint;
use super::series::Point;
use crate::check::{Counts, Violations};
use crate::histogram;
use crate::machine::Machine;
use crate::scenario::Scenario;

/// Rises when what stands in a document changes its meaning; what is only added does not change it.
pub(crate) const VERSION: u32 = 1;

/// One latency over the whole run, in microseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Distribution {
    pub(crate) count: u64,
    pub(crate) mean_us: f64,
    pub(crate) p50_us: u64,
    pub(crate) p90_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) p999_us: u64,
    pub(crate) max_us: u64,
    /// Every value that was seen, within a thousandth, and how often, in ascending order.
    pub(crate) buckets: Vec<(u64, u64)>,
}

impl Distribution {
    fn of(histogram: &Histogram<u64>) -> Option<Self> {
        (!histogram.is_empty()).then(|| Self {
            count: histogram.len(),
            mean_us: histogram.mean(),
            p50_us: histogram.value_at_quantile(0.5),
            p90_us: histogram.value_at_quantile(0.9),
            p99_us: histogram.value_at_quantile(0.99),
            p999_us: histogram.value_at_quantile(0.999),
            max_us: histogram.max(),
            buckets: histogram::pairs(histogram),
        })
    }
}

/// All latencies; absent where nothing of the kind was done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Latencies {
    /// From the intended send to the ack.
    pub(crate) ack: Option<Distribution>,
    /// From the intended send to each receiver.
    pub(crate) delivery: Option<Distribution>,
    /// The same to receivers that read slowly on purpose.
    pub(crate) slow_delivery: Option<Distribution>,
    /// From the intended coming to being signed in.
    pub(crate) connect: Option<Distribution>,
    /// From the intended opening or scrolling to the page.
    pub(crate) page: Option<Distribution>,
    /// From the intended typing to the answer.
    pub(crate) typing: Option<Distribution>,
}

impl Latencies {
    /// Those that bounds are for, each with its name.
    pub(crate) fn bounded(&self) -> impl Iterator<Item = (&'static str, &Distribution)> {
        let all = [
            ("ack", &self.ack),
            ("delivery", &self.delivery),
            ("connect", &self.connect),
            ("page", &self.page),
            ("typing", &self.typing),
        ];
        all.into_iter().filter_map(|(name, one)| Some((name, one.as_ref()?)))
    }
}

/// What was counted over the whole run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Totals {
    pub(crate) sent: u64,
    pub(crate) acked: u64,
    /// Messages times receivers.
    pub(crate) delivered: u64,
    /// Deliveries that one read brought, on average: how much the server coalesced.
    pub(crate) deliveries_per_read: f64,
    pub(crate) pages: u64,
    pub(crate) typed: u64,
    /// Connections made while it was measured.
    pub(crate) connects: u64,
    /// Those of them that went on from a cursor.
    pub(crate) resumes: u64,
    /// Tries to connect that the server put off.
    pub(crate) put_off: u64,
    /// Messages that were sent again under their key.
    pub(crate) resent: u64,
    /// Slow readers that the server closed, that read why, and that were told to load anew.
    pub(crate) slow_closed: u64,
    #[serde(default)]
    pub(crate) slow_told: u64,
    pub(crate) slow_resets: u64,
}

/// What the servers used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Server {
    pub(crate) cpu_seconds: Option<f64>,
    /// Absent when nothing was delivered.
    pub(crate) cpu_us_per_delivery: Option<f64>,
    pub(crate) resident_bytes_before: Option<u64>,
    pub(crate) resident_bytes_after: Option<u64>,
    /// Memory of a connection, where all came while it was measured.
    pub(crate) resident_bytes_per_connection: Option<f64>,
    pub(crate) series: Vec<ServerPoint>,
}

/// The result of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// [`VERSION`].
    pub(crate) version: u32,
    /// What was run, with everything that was set beside it.
    pub(crate) scenario: Scenario,
    pub(crate) targets: Vec<String>,
    pub(crate) format: String,
    /// Milliseconds since 1970.
    pub(crate) started_at_ms: u64,
    /// Where the harness ran.
    pub(crate) machine: Machine,
    /// Processes of the harness.
    pub(crate) processes: usize,
    /// From the first send to the last delivery.
    pub(crate) seconds: f64,
    /// The most members that were connected at once.
    pub(crate) connections: u64,
    /// The part of a core that the busiest process of the harness used; near 1 it measures itself.
    pub(crate) harness_cpu: f64,
    pub(crate) totals: Totals,
    pub(crate) latency: Latencies,
    /// Absent when nothing tells: neither --pid nor --metrics-url.
    pub(crate) server: Option<Server>,
    /// What was broken meanwhile.
    pub(crate) faults: Vec<Mark>,
    /// The servers' own figures beside what clients saw.
    pub(crate) agreement: Vec<Agreement>,
    /// What went wrong; empty when every promise was kept.
    pub(crate) violations: Violations,
    /// How the highest load that held was found, if that was asked for.
    pub(crate) search: Option<Search>,
    /// One point a second.
    pub(crate) series: Vec<Point>,
}

impl Totals {
    pub(super) fn of(counts: &Counts) -> Self {
        Self {
            sent: counts.sent,
            acked: counts.acked,
            delivered: counts.delivered,
            deliveries_per_read: counts.delivered as f64 / counts.reads.max(1) as f64,
            pages: counts.pages,
            typed: counts.typed,
            connects: counts.connects,
            resumes: counts.resumes,
            put_off: counts.put_off,
            resent: counts.resent,
            slow_closed: counts.slow_closed,
            slow_told: counts.slow_told,
            slow_resets: counts.slow_resets,
        }
    }

    /// All that was done: what errors are a part of.
    pub(crate) const fn done(&self) -> u64 {
        self.sent + self.pages + self.typed + self.connects
    }
}

impl Latencies {
    pub(super) fn of(counts: &Counts) -> Self {
        Self {
            ack: Distribution::of(&counts.ack_latency),
            delivery: Distribution::of(&counts.delivery_latency),
            slow_delivery: Distribution::of(&counts.slow_latency),
            connect: Distribution::of(&counts.connect_latency),
            page: Distribution::of(&counts.page_latency),
            typing: Distribution::of(&counts.typing_latency),
        }
    }
}

impl Outcome {
    /// Whether every promise was kept.
    pub(crate) fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// Writes the document.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn save(&self, path: &Path) -> anyhow::Result<()> {
        let json = serde_json::to_vec_pretty(self)?;
        std::fs::write(path, json).with_context(|| format!("could not write {}", path.display()))
    }

    /// Reads a document.
    ///
    /// # Errors
    /// When it is none, or one of another version.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("could not read {}", path.display());
        let json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).with_context(context)?).with_context(context)?;
        let version = json.get("version").and_then(serde_json::Value::as_u64);
        ensure!(version == Some(u64::from(VERSION)), "{} is no result of a run of version {VERSION}", path.display());
        serde_json::from_value(json).with_context(context)
    }
}
