//! The result for people.

use std::fmt::Write as _;

use super::outcome::{Distribution, Outcome, Server};

impl Outcome {
    /// What the terminal shows in the end.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        // Writing into a string cannot fail.
        let _ = self.write_text(&mut out);
        out
    }

    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        let (scenario, totals) = (&self.scenario, &self.totals);
        let targets = self.targets.join(", ");
        let (rooms, members) = (scenario.rooms, scenario.users());
        writeln!(out, "{} against {targets}: {rooms} rooms, {members} members, {:.1} s", scenario.title, self.seconds)?;
        let per_second = |count: u64| count as f64 / self.seconds.max(f64::EPSILON);
        let mut line = |name: &str, count: u64, note: &str| {
            if count == 0 {
                return Ok(());
            }
            let line = format!("  {name:<10} {count:>10}  {:>10.0}/s  {note}", per_second(count));
            writeln!(out, "{}", line.trim_end())
        };
        line("sent", totals.sent, &format!("of {} bytes", scenario.bytes))?;
        line("acked", totals.acked, "")?;
        line("delivered", totals.delivered, &format!("{:.1} a read", totals.deliveries_per_read))?;
        line("pages", totals.pages, "of history")?;
        line("typed", totals.typed, "")?;
        let came_back = format!("{} went on from their cursor, {} tries were put off", totals.resumes, totals.put_off);
        line("connected", totals.connects, &came_back)?;
        line("resent", totals.resent, "under their key, because a connection ended before the answer")?;
        let resets = format!("slow readers; {} had to load anew", totals.slow_resets);
        line("closed", totals.slow_closed, &resets)?;
        for (name, latency) in self.latency.bounded() {
            write_latency(out, name, latency)?;
        }
        if let Some(slow) = &self.latency.slow_delivery {
            write_latency(out, "slow", slow)?;
        }
        if let Some(server) = &self.server {
            write_server(out, server)?;
        }
        for one in self.agreement.iter().filter(|one| one.agrees) {
            writeln!(out, "  agreed     {:>10}  {}", one.servers.unwrap_or_default(), one.figure)?;
        }
        for fault in &self.faults {
            writeln!(out, "  fault      {} from {:.1} s to {:.1} s", fault.name, fault.from, fault.until)?;
        }
        if self.harness_cpu > 0.9 {
            writeln!(out, "  the harness used {:.0} % of a core: latencies are its own", self.harness_cpu * 100.0)?;
        }
        self.write_verdict(out)
    }

    fn write_verdict(&self, out: &mut String) -> std::fmt::Result {
        if self.is_clean() {
            return writeln!(out, "  every promise kept");
        }
        writeln!(out, "  BROKEN:")?;
        for (kind, count) in &self.violations.counts {
            writeln!(out, "    {} x {count}", kind.name())?;
        }
        self.violations.examples.iter().try_for_each(|example| writeln!(out, "    - {example}"))
    }
}

fn write_latency(out: &mut String, name: &str, latency: &Distribution) -> std::fmt::Result {
    let Distribution { p50_us, p90_us, p99_us, p999_us, max_us, .. } = latency;
    writeln!(out, "  {name:<9} us  p50 {p50_us}  p90 {p90_us}  p99 {p99_us}  p99.9 {p999_us}  max {max_us}")
}

fn write_server(out: &mut String, server: &Server) -> std::fmt::Result {
    let mut parts = Vec::new();
    if let Some(seconds) = server.cpu_seconds {
        parts.push(format!("{seconds:.2} s CPU"));
    }
    if let Some(microseconds) = server.cpu_us_per_delivery {
        parts.push(format!("{microseconds:.2} us a delivery"));
    }
    if let (Some(before), Some(after)) = (server.resident_bytes_before, server.resident_bytes_after) {
        parts.push(format!("{:.1} -> {:.1} MB", before as f64 / 1e6, after as f64 / 1e6));
    }
    if let Some(bytes) = server.resident_bytes_per_connection {
        parts.push(format!("{:.2} KB a connection", bytes / 1e3));
    }
    writeln!(out, "  server     {}", parts.join(", "))
}
