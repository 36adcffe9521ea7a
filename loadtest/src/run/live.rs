//! What the terminal shows meanwhile. Nothing where standard error is no terminal.

use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use super::monitor::ServerPoint;
use super::series::{Point, Quantiles};
use crate::scenario::Scenario;

/// How often the clock is drawn anew.
const DRAW_EVERY: Duration = Duration::from_millis(250);

/// Before the load begins, and while it goes on.
const WAITING: &str = "{prefix}  {msg} {spinner}";
const GOING: &str = "{prefix}  {elapsed_precise}  {wide_bar}\n  {msg}";

/// What the terminal shows meanwhile.
pub(super) struct Live {
    bar: ProgressBar,
    seconds: u64,
}

impl Live {
    /// Shows that it begins.
    pub(super) fn begin(scenario: &Scenario) -> Self {
        let bar = ProgressBar::new_spinner().with_prefix(scenario.title.clone());
        set_style(&bar, WAITING);
        bar.enable_steady_tick(DRAW_EVERY);
        Self { bar, seconds: scenario.seconds.ceil() as u64 }
    }

    /// Shows what is done before the load begins.
    pub(super) fn say(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// The load begins.
    pub(super) fn start(&self) {
        self.bar.set_length(self.seconds);
        self.bar.set_position(0);
        self.bar.reset_elapsed();
        set_style(&self.bar, GOING);
    }

    /// Shows a second.
    pub(super) fn show(&self, point: &Point, server: Option<&ServerPoint>) {
        self.bar.set_position(point.second.min(self.seconds));
        self.bar.set_message(lines(point, server, self.seconds));
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn set_style(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

/// Time left behind the bar, then a line each for rates, latencies and the servers.
fn lines(point: &Point, server: Option<&ServerPoint>, seconds: u64) -> String {
    let left = match seconds.saturating_sub(point.second) {
        0 => "what is on its way arrives".to_owned(),
        left => format!("{left} s left"),
    };
    let mut lines = vec![left, format!("  {}", rates(point).join("  "))];
    let latencies = latencies(point);
    if !latencies.is_empty() {
        lines.push(format!("  p50 / p99  {}", latencies.join("  ")));
    }
    if let Some(server) = server {
        lines.push(format!("  servers  {}", used(server).join("  ")));
    }
    lines.join("\n")
}

fn rates(point: &Point) -> Vec<String> {
    let rates = [
        ("sent", point.sent_per_second),
        ("acked", point.acked_per_second),
        ("delivered", point.delivered_per_second),
        ("pages", point.pages_per_second),
        ("typed", point.typed_per_second),
        ("connected", point.connects_per_second),
    ];
    let rates = rates.into_iter().filter(|(_, rate)| *rate > 0.0).map(|(name, rate)| format!("{name} {rate:.0}/s"));
    let (here, errors) = (format!("{} here", point.connections), format!("errors {}", point.errors));
    [here].into_iter().chain(rates).chain([errors]).collect()
}

fn latencies(point: &Point) -> Vec<String> {
    let all = [("ack", point.ack), ("delivery", point.delivery), ("page", point.page), ("connect", point.connect)];
    let words = |(name, latency): (&str, Option<Quantiles>)| {
        let latency = latency?;
        Some(format!("{name} {} / {}", milliseconds(latency.p50_us), milliseconds(latency.p99_us)))
    };
    all.into_iter().filter_map(words).collect()
}

fn used(server: &ServerPoint) -> Vec<String> {
    let cores = server.cores.map(|cores| format!("{cores:.2} cores"));
    let memory = server.resident_bytes.map(|bytes| HumanBytes(bytes).to_string());
    cores.into_iter().chain(memory).collect()
}

fn milliseconds(microseconds: u64) -> String {
    format!("{:.1} ms", microseconds as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Counts;
    use crate::run::series::{Collector, Second};

    #[test]
    fn a_second_shows_rates_latencies_errors_and_the_time_left() {
        let mut counts = Counts::new().unwrap();
        (counts.sent, counts.delivered) = (20, 200);
        counts.delivery_latency.saturating_record(1_500);
        let second = Second { number: 3, seconds: 2.0, connections: 7, errors: 4, counts };
        let mut collector = Collector::new(1).unwrap();
        let server = ServerPoint { second: 3, cores: Some(0.5), resident_bytes: Some(1 << 20), metrics: [].into() };
        let text = lines(collector.take(0, second).unwrap(), Some(&server), 10);
        assert_eq!(
            text,
            "7 s left\n  7 here  sent 10/s  delivered 100/s  errors 4\n  p50 / p99  delivery 1.5 ms / 1.5 ms\n  servers  \
             0.50 cores  1.00 MiB"
        );
    }
}
