//! What is plotted of results: the same plots for each, on the same scales.

use super::plot::{Band, Line, Plot};
use super::scale::Scale;
use super::{columns, names};
use crate::run::{Distribution, Mark, Outcome, Point, Quantiles, ServerPoint};

/// Lines of one chart for one result.
type Lines = fn(&Outcome) -> Vec<Line>;

/// One chart.
struct Chart {
    title: &'static str,
    /// What it shows, in a sentence.
    note: &'static str,
    unit: &'static str,
    kind: Kind,
    lines: Lines,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Over time, latencies of all sizes.
    Latency,
    /// Over time, from 0.
    Rate,
    /// Over the parts of all.
    Distribution,
}

const CHARTS: [Chart; 9] = [
    Chart {
        title: "Delivery latency over time",
        note: "From the intended send to each receiver, so that a stall counts.",
        unit: "ms",
        kind: Kind::Latency,
        lines: |outcome| quantiles(outcome, |point| point.delivery),
    },
    Chart {
        title: "Ack latency over time",
        note: "From the intended send to the ack.",
        unit: "ms",
        kind: Kind::Latency,
        lines: |outcome| quantiles(outcome, |point| point.ack),
    },
    Chart {
        title: "Other latencies over time, p99",
        note: "Pages of history from the intended opening or scrolling; signing in from the intended coming.",
        unit: "ms",
        kind: Kind::Latency,
        lines: others,
    },
    Chart {
        title: "Latency distribution",
        note: "How large a part of all took at most how long.",
        unit: "ms",
        kind: Kind::Distribution,
        lines: distributions,
    },
    Chart {
        title: "Throughput: deliveries",
        note: "Messages times receivers, a second.",
        unit: "/s",
        kind: Kind::Rate,
        lines: |outcome| over_time(outcome, &[("delivered", |point| point.delivered_per_second)]),
    },
    Chart {
        title: "Throughput: requests",
        note: "",
        unit: "/s",
        kind: Kind::Rate,
        lines: |outcome| {
            let all: [(&'static str, Figure); 4] = [
                ("sent", |point| point.sent_per_second),
                ("acked", |point| point.acked_per_second),
                ("pages", |point| point.pages_per_second),
                ("connected", |point| point.connects_per_second),
            ];
            over_time(outcome, &all)
        },
    },
    Chart {
        title: "Connections and errors",
        note: "Errors are a second's.",
        unit: "",
        kind: Kind::Rate,
        lines: |outcome| {
            let all: [(&'static str, Figure); 2] =
                [("connections", |point| point.connections as f64), ("errors", |point| point.errors as f64)];
            over_time(outcome, &all)
        },
    },
    Chart {
        title: "Server CPU",
        note: "Of all servers together.",
        unit: "cores",
        kind: Kind::Rate,
        lines: |outcome| servers(outcome, "used", |point| point.cores),
    },
    Chart {
        title: "Server memory",
        note: "Resident, of all servers together.",
        unit: "MB",
        kind: Kind::Rate,
        lines: |outcome| servers(outcome, "resident", |point| Some(point.resident_bytes? as f64 / 1e6)),
    },
];

/// A figure of a second.
type Figure = fn(&Point) -> f64;

/// A latency of a second.
type Latency = fn(&Point) -> Option<Quantiles>;

/// One quantile of a latency.
type Quantile = fn(&Quantiles) -> u64;

/// All charts that have something to show.
pub(super) fn all(outcomes: &[&Outcome]) -> String {
    let charts: String = CHARTS.iter().map(|chart| chart.draw(outcomes)).collect();
    format!("<div class=\"charts of-{}\">\n{charts}</div>\n", outcomes.len())
}

impl Chart {
    fn draw(&self, outcomes: &[&Outcome]) -> String {
        let lines: Vec<Vec<Line>> = outcomes.iter().map(|outcome| (self.lines)(outcome)).collect();
        let points = || lines.iter().flatten().flat_map(|line| line.points.iter().copied());
        if points().next().is_none() {
            return String::new();
        }
        let (x, y) = self.scales(points);
        let mut out =
            format!("<section>\n<h2>{}</h2>\n<p class=\"note\">{}</p>\n{}", self.title, self.note, columns(outcomes));
        for ((outcome, lines), name) in outcomes.iter().zip(&lines).zip(names(outcomes)) {
            let bands = if self.kind == Kind::Distribution { Vec::new() } else { bands(&outcome.faults) };
            let title = format!("{} {name}", self.title);
            let x_unit = if self.kind == Kind::Distribution { "" } else { " s" };
            let plot = Plot { title: title.trim_end(), unit: self.unit, x, x_unit, y, lines, bands: &bands };
            out.push_str(&plot.figure());
        }
        out + "</div>\n</section>\n"
    }

    /// The same scales for all results, or they could not be compared.
    fn scales<I: Iterator<Item = (f64, f64)>>(&self, points: impl Fn() -> I) -> (Scale, Scale) {
        let last = points().map(|(x, _)| x).fold(1.0, f64::max);
        let (least, greatest) =
            points().fold((f64::INFINITY, 0.0_f64), |(least, greatest), (_, y)| (least.min(y), greatest.max(y)));
        match self.kind {
            Kind::Latency => (Scale::Linear(last), Scale::logarithmic(least, greatest)),
            Kind::Rate => (Scale::Linear(last), Scale::linear(greatest)),
            Kind::Distribution => {
                let nines = points().map(|(part, _)| part).filter(|part| *part < 1.0).fold(0.9, f64::max);
                let nines = -(1.0 - nines).log10();
                (Scale::Nines(nines.clamp(1.0, 5.0)), Scale::logarithmic(least, greatest))
            }
        }
    }
}

fn bands(faults: &[Mark]) -> Vec<Band> {
    faults.iter().map(|mark| Band { name: mark.name.clone(), from: mark.from, until: mark.until }).collect()
}

fn milliseconds(microseconds: u64) -> f64 {
    microseconds.max(1) as f64 / 1e3
}

fn quantiles(outcome: &Outcome, latency: Latency) -> Vec<Line> {
    let all: [(&'static str, Quantile); 4] =
        [("p50", |one| one.p50_us), ("p90", |one| one.p90_us), ("p99", |one| one.p99_us), ("max", |one| one.max_us)];
    let line = |(name, figure): (&'static str, Quantile)| {
        let points = outcome
            .series
            .iter()
            .filter_map(|point| Some((point.second as f64, milliseconds(figure(&latency(point)?)))));
        Line { name, points: points.collect() }
    };
    all.into_iter().map(line).collect()
}

fn others(outcome: &Outcome) -> Vec<Line> {
    let all: [(&'static str, Latency); 2] =
        [("page of history", |point| point.page), ("signing in", |point| point.connect)];
    let line = |(name, latency): (&'static str, Latency)| {
        let points =
            outcome.series.iter().filter_map(|point| Some((point.second as f64, milliseconds(latency(point)?.p99_us))));
        Line { name, points: points.collect() }
    };
    all.into_iter().map(line).filter(|line| !line.points.is_empty()).collect()
}

fn distributions(outcome: &Outcome) -> Vec<Line> {
    let latency = &outcome.latency;
    let all = [
        ("delivery", &latency.delivery),
        ("ack", &latency.ack),
        ("page of history", &latency.page),
        ("signing in", &latency.connect),
    ];
    all.into_iter().filter_map(|(name, one)| Some(Line { name, points: parts(one.as_ref()?) })).collect()
}

/// For each latency the part of all that took at most as long.
fn parts(distribution: &Distribution) -> Vec<(f64, f64)> {
    let all = distribution.count.max(1) as f64;
    let mut below = 0;
    let points = distribution.buckets.iter().map(|(microseconds, count)| {
        // Where the bucket begins: the largest one would stand at infinity.
        let part = below as f64 / all;
        below += count;
        (part, milliseconds(*microseconds))
    });
    points.collect()
}

fn over_time(outcome: &Outcome, all: &[(&'static str, Figure)]) -> Vec<Line> {
    let line = |(name, figure): &(&'static str, Figure)| {
        let points: Vec<_> = outcome.series.iter().map(|point| (point.second as f64, figure(point))).collect();
        Line { name, points }
    };
    // What never happened is not drawn.
    all.iter().map(line).filter(|line| line.points.iter().any(|(_, figure)| *figure > 0.0)).collect()
}

fn servers(outcome: &Outcome, name: &'static str, figure: fn(&ServerPoint) -> Option<f64>) -> Vec<Line> {
    let Some(server) = &outcome.server else { return Vec::new() };
    let points: Vec<_> = server.series.iter().filter_map(|point| Some((point.second as f64, figure(point)?))).collect();
    if points.is_empty() { Vec::new() } else { vec![Line { name, points }] }
}
