//! Figures of results side by side.

use std::fmt::Write as _;

use super::escape;
use super::scale::short;
use crate::run::{Distribution, Outcome, Quantiles, Search};

/// A figure of a result, where it has one.
type Figure = Box<dyn Fn(&Outcome) -> Option<f64>>;

/// Where a count, a latency, a quantile of it, or what a server used comes from.
type Count = fn(&Outcome) -> u64;
type Latency = fn(&Outcome) -> &Option<Distribution>;
type Quantile = fn(&Distribution) -> u64;
type Used = fn(&Outcome) -> Option<f64>;

/// One row: its name, its unit, and where its figure comes from.
type Row = (String, &'static str, Figure);

/// The figures that one looks for first; with two results also the second as a multiple of the first.
pub(super) fn glance(outcomes: &[&Outcome]) -> String {
    let mut out = String::from("<h2>At a glance</h2>\n<div class=\"scroll\">\n<table>\n");
    if let [_, _] = outcomes {
        out.push_str("<tr><th></th><th>A</th><th>B</th><th>B / A</th></tr>\n");
    }
    for (name, unit, figure) in rows() {
        let figures: Vec<Option<f64>> = outcomes.iter().map(|outcome| figure(outcome)).collect();
        if figures.iter().all(Option::is_none) {
            continue;
        }
        // Writing into a string cannot fail.
        let _ = write!(out, "<tr><td>{name}</td>");
        for figure in &figures {
            let _ = match figure {
                Some(figure) => write!(out, "<td>{} {unit}</td>", short(*figure)),
                None => write!(out, "<td>–</td>"),
            };
        }
        if let [first, second] = figures.as_slice() {
            let ratio = first.zip(*second).filter(|(first, _)| *first > 0.0).map(|(first, second)| second / first);
            let _ = match ratio {
                Some(ratio) => write!(out, "<td>{ratio:.2}</td>"),
                None => write!(out, "<td>–</td>"),
            };
        }
        out.push_str("</tr>\n");
    }
    out + "</table>\n</div>\n"
}

fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let counts: [(&str, Count); 5] = [
        ("messages sent", |outcome| outcome.totals.sent),
        ("acknowledged", |outcome| outcome.totals.acked),
        ("delivered", |outcome| outcome.totals.delivered),
        ("pages of history", |outcome| outcome.totals.pages),
        ("connections made", |outcome| outcome.totals.connects),
    ];
    for (name, count) in counts {
        let figure = move |outcome: &Outcome| {
            Some(count(outcome)).filter(|count| *count > 0).map(|count| count as f64 / outcome.seconds)
        };
        rows.push((name.to_owned(), "/s", Box::new(figure)));
    }
    let latencies: [(&str, Latency); 6] = [
        ("delivery", |outcome| &outcome.latency.delivery),
        ("ack", |outcome| &outcome.latency.ack),
        ("page of history", |outcome| &outcome.latency.page),
        ("signing in", |outcome| &outcome.latency.connect),
        ("typing", |outcome| &outcome.latency.typing),
        ("delivery to slow readers", |outcome| &outcome.latency.slow_delivery),
    ];
    let parts: [(&str, Quantile); 4] =
        [("p50", |one| one.p50_us), ("p99", |one| one.p99_us), ("p99.9", |one| one.p999_us), ("max", |one| one.max_us)];
    for (name, latency) in latencies {
        for (part, microseconds) in parts {
            let figure = move |outcome: &Outcome| Some(microseconds(latency(outcome).as_ref()?) as f64 / 1e3);
            rows.push((format!("{name} {part}"), "ms", Box::new(figure)));
        }
    }
    rows.extend(of_servers());
    rows
}

fn of_servers() -> Vec<Row> {
    let figures: [(&str, &'static str, Used); 6] = [
        ("server CPU", "cores", |outcome| Some(outcome.server.as_ref()?.cpu_seconds? / outcome.seconds)),
        ("server CPU a delivery", "µs", |outcome| outcome.server.as_ref()?.cpu_us_per_delivery),
        ("server memory in the end", "MB", |outcome| Some(outcome.server.as_ref()?.resident_bytes_after? as f64 / 1e6)),
        ("memory of a connection", "KB", |outcome| Some(outcome.server.as_ref()?.resident_bytes_per_connection? / 1e3)),
        ("connections at once", "", |outcome| Some(outcome.connections as f64)),
        ("the harness itself", "cores", |outcome| Some(outcome.harness_cpu)),
    ];
    figures.into_iter().map(|(name, unit, figure)| (name.to_owned(), unit, Box::new(figure) as Figure)).collect()
}

/// How the highest load that held was found.
pub(super) fn search(search: &Search) -> String {
    let mut out = String::from(
        "<h2>The search for the highest load</h2>\n<div class=\"scroll\">\n<table>\n\
         <tr><th>users</th><th>delivered</th><th>p99</th><th></th></tr>\n",
    );
    for step in &search.steps {
        let verdict = if step.held {
            "<td>held</td>".to_owned()
        } else {
            format!("<td class=\"harm\">{}</td>", escape(&step.why))
        };
        // Writing into a string cannot fail.
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{} /s</td><td>{} ms</td>{verdict}</tr>",
            step.users,
            short(step.delivered_per_second),
            short(step.p99_ms)
        );
    }
    out + "</table>\n</div>\n"
}

/// The servers' own figures beside what clients saw.
pub(super) fn agreement(outcome: &Outcome) -> String {
    if outcome.agreement.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "<h2>What the servers count themselves</h2>\n<div class=\"scroll\">\n<table>\n\
         <tr><th>figure</th><th>servers</th><th>clients</th><th></th></tr>\n",
    );
    for one in &outcome.agreement {
        let clients = match one.clients_at_least == one.clients_at_most {
            true => one.clients_at_least.to_string(),
            false => format!("{} to {}", one.clients_at_least, one.clients_at_most),
        };
        let verdict = if one.agrees { "<td>agrees</td>" } else { "<td class=\"harm\">disagrees</td>" };
        let figure = escape(&one.figure);
        let servers = one.servers.map_or_else(|| "none".to_owned(), |servers| servers.to_string());
        // Writing into a string cannot fail.
        let _ = writeln!(out, "<tr><td>{figure}</td><td>{servers}</td><td>{clients}</td>{verdict}</tr>");
    }
    out + "</table>\n</div>\n"
}

/// Every second, folded away: the plots for those who read tables.
pub(super) fn seconds(outcome: &Outcome, name: &str) -> String {
    let mut out = format!(
        "<details>\n<summary>{name} Every second</summary>\n<div class=\"scroll\">\n<table>\n\
         <tr><th>s</th><th>here</th><th>sent/s</th><th>acked/s</th><th>delivered/s</th><th>pages/s</th><th>errors</th>\
         <th>ack p50</th><th>p99</th><th>delivery p50</th><th>p99</th><th>max</th></tr>\n"
    );
    let cell = |latency: &Option<Quantiles>, figure: fn(&Quantiles) -> u64| {
        latency.as_ref().map_or("–".to_owned(), |one| short(figure(one) as f64 / 1e3))
    };
    for point in &outcome.series {
        let rates = [point.sent_per_second, point.acked_per_second, point.delivered_per_second, point.pages_per_second];
        let cells = [point.second.to_string(), point.connections.to_string()]
            .into_iter()
            .chain(rates.map(short))
            .chain([point.errors.to_string()])
            .chain([cell(&point.ack, |one| one.p50_us), cell(&point.ack, |one| one.p99_us)])
            .chain([cell(&point.delivery, |one| one.p50_us), cell(&point.delivery, |one| one.p99_us)])
            .chain([cell(&point.delivery, |one| one.max_us)]);
        out.push_str("<tr>");
        cells.for_each(|cell| out.push_str(&format!("<td>{cell}</td>")));
        out.push_str("</tr>\n");
    }
    out + "</table>\n</div>\n<p class=\"note\">Latencies in ms.</p>\n</details>\n"
}
