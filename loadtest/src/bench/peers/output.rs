//! What the comparison says: Markdown for people, JSON for programs.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::row::{Row, Standing, Verdict};
use crate::bench::output::{number, write};
use crate::machine::Machine;
use crate::say::say;
use crate::statistics::Spread;

#[derive(Serialize)]
struct Document<'a> {
    machine: Machine,
    rows: &'a [Row],
}

/// One row for people.
pub(super) fn row_text(row: &Row) -> String {
    let Row { measure, load, kept, tried, .. } = row;
    let mut out = format!("{}, {load}  [{kept} of {tried} kept; floor {}]", measure.title, spread(row.floor));
    for one in &row.standings {
        let figure = with_unit(one.figure, measure.unit);
        // Writing into a string cannot fail.
        let _ = write!(out, "\n  {:<40} {figure:<28} {}", one.name, verdict(one));
    }
    out
}

/// Says and writes the outcome.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn publish(out: &Path, rows: &[Row]) -> anyhow::Result<()> {
    let document = Document { machine: Machine::this(), rows };
    let markdown = markdown(&document);
    write(&out.join("peers.json"), &serde_json::to_string_pretty(&document)?)?;
    write(&out.join("peers.md"), &markdown)?;
    say("");
    say(&markdown);
    Ok(())
}

fn markdown(document: &Document<'_>) -> String {
    let Machine { cpu, cores, kernel } = &document.machine;
    let mut out = format!(
        "{cpu}, {cores} cores, Linux {kernel}. Servers on one core, harness on the other. Medians, quartiles in \
         brackets. Bobchat syncs every message to disk before anybody sees it.\n\n{}\n\
         | | server | keeps | figure | of the floor | p99 | Bobchat / it |\n|---|---|---|---|---|---|---|\n",
        losses(document.rows)
    );
    for row in document.rows {
        for one in &row.standings {
            // Writing into a string cannot fail.
            let _ = writeln!(
                out,
                "| {}, {} | {} | {} | {} | {} | {} | {} |",
                row.measure.title,
                row.load,
                one.name,
                one.keeps,
                with_unit(one.figure, row.measure.unit),
                spread(one.of_floor),
                with_unit(one.p99_ms, "ms"),
                verdict(one)
            );
        }
    }
    let noisy = document.rows.iter().filter(|row| row.kept < row.needed);
    for row in noisy {
        let Row { load, kept, tried, .. } = row;
        let _ =
            write!(out, "\n{}, {load}: too noisy, only {kept} of {tried} repetitions were quiet.\n", row.measure.title);
    }
    for (row, one) in pairs(document.rows) {
        let notes = [
            (one.late, "were late: deliveries came together, which looks cheap"),
            (one.harness_bound, "took the harness's whole core: it was the limit, and the server may do more"),
        ];
        for (count, note) in notes.into_iter().filter(|(count, _)| *count > 0) {
            let Row { measure, load, kept, .. } = row;
            let _ = write!(out, "\n{}, {load}: {count} of {kept} runs of {} {note}.\n", measure.title, one.name);
        }
    }
    out
}

fn pairs(rows: &[Row]) -> impl Iterator<Item = (&Row, &Standing)> {
    rows.iter().flat_map(|row| row.standings.iter().map(move |one| (row, one)))
}

/// Where Bobchat loses comes first.
fn losses(rows: &[Row]) -> String {
    let mut out = String::new();
    for (row, one) in pairs(rows).filter(|(_, one)| one.verdict == Some(Verdict::Loses)) {
        let ratio = spread(one.ours_of_it);
        // Writing into a string cannot fail.
        let _ = writeln!(
            out,
            "- Bobchat **loses** to {} (keeps: {}) at {}, {}: its figure is {ratio} times the other's.",
            one.name, one.keeps, row.measure.title, row.load
        );
    }
    let unknown = pairs(rows).filter(|(_, one)| one.verdict == Some(Verdict::Unknown)).count();
    if out.is_empty() {
        out.push_str("Bobchat loses nowhere in what is known.\n");
    }
    if unknown > 0 {
        let _ =
            writeln!(out, "\nOf {unknown} comparisons nothing is known: too noisy, or a figure that cannot be seen.");
    }
    out
}

/// The ratio, and what it means.
fn verdict(one: &Standing) -> String {
    let ratio = spread(one.ours_of_it);
    match one.verdict {
        None => "1".to_owned(),
        Some(Verdict::Wins) => ratio,
        Some(Verdict::Loses) => format!("{ratio}: Bobchat loses"),
        Some(Verdict::Even) => format!("{ratio}: even"),
        Some(Verdict::Unknown) => format!("{ratio}: not known"),
    }
}

fn with_unit(figure: Option<Spread>, unit: &str) -> String {
    figure.map_or("–".to_owned(), |_| format!("{} {unit}", spread(figure)))
}

fn spread(spread: Option<Spread>) -> String {
    spread.map_or("–".to_owned(), |spread| {
        format!("{} ({} to {})", number(spread.median), number(spread.lower_quartile), number(spread.upper_quartile))
    })
}

#[cfg(test)]
mod tests {
    use super::super::row::Measure;
    use super::*;

    #[test]
    fn where_bobchat_loses_the_report_says_so_first() {
        let standing = |name, ratio: f64, verdict| Standing {
            name,
            keeps: "nothing",
            figure: Spread::of(&[2.0]),
            of_floor: Spread::of(&[2.0]),
            ours_of_it: Spread::of(&[ratio]),
            p99_ms: None,
            late: 0,
            harness_bound: 1,
            verdict,
        };
        let standings = vec![
            standing("Bobchat", 1.0, None),
            standing("fast", 1.5, Some(Verdict::Loses)),
            standing("slow", 0.5, Some(Verdict::Wins)),
            standing("unseen", 1.0, Some(Verdict::Unknown)),
        ];
        let measure = Measure { title: "CPU", unit: "us", more_is_better: false };
        let row = Row { measure, load: "one room".to_owned(), needed: 5, kept: 2, tried: 15, floor: None, standings };
        let text = markdown(&Document { machine: Machine::this(), rows: &[row] });
        let (first, table) = text.split_once("| |").unwrap();
        assert!(first.contains("**loses** to fast") && !first.contains("slow"), "{text}");
        assert!(first.contains("Of 1 comparisons nothing is known"), "{text}");
        assert!(
            table.contains("1.50 (1.50 to 1.50): Bobchat loses") && table.contains("| 0.50 (0.50 to 0.50) |"),
            "{text}"
        );
        assert!(
            table.contains("too noisy, only 2 of 15") && table.contains("of slow took the harness's whole core"),
            "{text}"
        );
    }
}
