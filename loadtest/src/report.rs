//! What a run says: JSON for programs, text for people.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::check::{Counts, Violations};

/// One latency distribution, in microseconds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Latency {
    pub(crate) count: u64,
    pub(crate) mean_us: f64,
    pub(crate) p50_us: u64,
    pub(crate) p90_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) p999_us: u64,
    pub(crate) max_us: u64,
}

impl Latency {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            count: histogram.len(),
            mean_us: histogram.mean(),
            p50_us: histogram.value_at_quantile(0.5),
            p90_us: histogram.value_at_quantile(0.9),
            p99_us: histogram.value_at_quantile(0.99),
            p999_us: histogram.value_at_quantile(0.999),
            max_us: histogram.max(),
        }
    }
}

/// What the server used.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ServerUsage {
    pub(crate) cpu_seconds: f64,
    /// Absent when nothing was delivered.
    pub(crate) cpu_us_per_delivery: Option<f64>,
    pub(crate) resident_bytes_before: u64,
    pub(crate) resident_bytes_after: u64,
    /// Memory for each connection, in an idle run.
    pub(crate) resident_bytes_per_connection: Option<f64>,
}

/// What a run says.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) scenario: &'static str,
    pub(crate) target: String,
    pub(crate) members: usize,
    pub(crate) rooms: usize,
    pub(crate) bytes: usize,
    pub(crate) seconds: f64,
    pub(crate) sent: u64,
    pub(crate) acked: u64,
    pub(crate) delivered: u64,
    /// Deliveries that one read brought, on average: how much the server coalesced.
    pub(crate) deliveries_per_read: f64,
    pub(crate) ack_latency: Latency,
    pub(crate) delivery_latency: Latency,
    pub(crate) server: Option<ServerUsage>,
    /// The part of a core that the harness used; near 1 it measures itself.
    pub(crate) harness_cpu: f64,
    pub(crate) violations: Violations,
}

impl Report {
    /// A report of what was counted.
    pub(crate) fn new(scenario: &'static str, target: String, counts: &Counts, seconds: f64) -> Self {
        Self {
            scenario,
            target,
            members: 0,
            rooms: 0,
            bytes: 0,
            seconds,
            sent: counts.sent,
            acked: counts.acked,
            delivered: counts.delivered,
            deliveries_per_read: counts.delivered as f64 / counts.reads.max(1) as f64,
            ack_latency: Latency::of(&counts.ack_latency),
            delivery_latency: Latency::of(&counts.delivery_latency),
            server: None,
            harness_cpu: 0.0,
            violations: Violations::default(),
        }
    }

    /// The report for people.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        // Writing into a string cannot fail.
        let _ = self.write_text(&mut out);
        out
    }

    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        let per_second = |count: u64| count as f64 / self.seconds.max(f64::EPSILON);
        writeln!(
            out,
            "{} against {}: {} rooms, {} members, {:.1} s",
            self.scenario, self.target, self.rooms, self.members, self.seconds
        )?;
        writeln!(out, "  sent       {:>10}  {:>10.0}/s  of {} bytes", self.sent, per_second(self.sent), self.bytes)?;
        writeln!(out, "  acked      {:>10}  {:>10.0}/s", self.acked, per_second(self.acked))?;
        writeln!(
            out,
            "  delivered  {:>10}  {:>10.0}/s  {:.1} a read",
            self.delivered,
            per_second(self.delivered),
            self.deliveries_per_read
        )?;
        for (name, latency) in [("ack", &self.ack_latency), ("delivery", &self.delivery_latency)] {
            if latency.count > 0 {
                let Latency { p50_us, p90_us, p99_us, p999_us, max_us, .. } = latency;
                writeln!(
                    out,
                    "  {name:<9} us  p50 {p50_us}  p90 {p90_us}  p99 {p99_us}  p99.9 {p999_us}  max {max_us}"
                )?;
            }
        }
        if let Some(server) = &self.server {
            self.write_server(out, server)?;
        }
        if self.harness_cpu > 0.9 {
            writeln!(out, "  the harness used {:.0} % of a core: latencies are its own", self.harness_cpu * 100.0)?;
        }
        match self.violations.is_empty() {
            true => writeln!(out, "  every promise kept"),
            false => self.write_violations(out),
        }
    }

    fn write_server(&self, out: &mut String, server: &ServerUsage) -> std::fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        write!(out, "  server     {:.2} s CPU", server.cpu_seconds)?;
        if let Some(microseconds) = server.cpu_us_per_delivery {
            write!(out, ", {microseconds:.2} us a delivery")?;
        }
        let (before, after) = (megabytes(server.resident_bytes_before), megabytes(server.resident_bytes_after));
        write!(out, ", {before:.1} -> {after:.1} MB")?;
        if let Some(bytes) = server.resident_bytes_per_connection {
            write!(out, ", {:.2} KB a connection", bytes / 1e3)?;
        }
        writeln!(out)
    }

    fn write_violations(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "  BROKEN:")?;
        for (kind, count) in &self.violations.counts {
            writeln!(out, "    {} x {count}", kind.name())?;
        }
        self.violations.examples.iter().try_for_each(|example| writeln!(out, "    - {example}"))
    }

    /// Writes the JSON form.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn save(&self, path: &Path) -> anyhow::Result<()> {
        let json = serde_json::to_vec_pretty(self)?;
        std::fs::write(path, json).with_context(|| format!("could not write {}", path.display()))
    }
}

/// Says a line to whoever runs the harness. Reports are its output, so this is where it prints.
pub(crate) fn say(text: &str) {
    // A reader that went away is no reason to stop measuring.
    let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
}
