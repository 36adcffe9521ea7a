//! What the bench of a cluster writes: Markdown for the documentation, JSON for programs.

use std::fmt::Write as _;

use super::super::judge::Line;
use super::super::output::{Document, number, write};
use super::Options;
use crate::machine::Machine;
use crate::say::say;

/// Says and writes the outcome.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn publish(options: &Options, lines: &[Line]) -> anyhow::Result<()> {
    let document = Document { machine: Machine::this(), lines };
    let markdown = markdown(&document);
    write(&options.out.join("cluster.json"), &serde_json::to_string_pretty(&document)?)?;
    write(&options.out.join("cluster.md"), &markdown)?;
    say("");
    say(&markdown);
    Ok(())
}

fn markdown(document: &Document<'_>) -> String {
    let Machine { cpu, cores, kernel } = &document.machine;
    let mut out = format!(
        "{cpu}, {cores} cores, Linux {kernel}. Nodes, Redis, Cassandra and the harness share them: rates and latencies \
         are what is left, ratios of CPU and counts are not touched by that.\n\n"
    );
    out.push_str("| figure | compared with | ours | judged (quartiles) | goal | limit | verdict | kept |\n");
    out.push_str("|---|---|---|---|---|---|---|---|\n");
    for line in document.lines {
        let cell = |figure: Option<f64>| {
            figure.map_or("–".to_owned(), |figure| format!("{} {}", number(figure), line.absolute_unit))
        };
        let judged = line.figure.map_or("–".to_owned(), |figure| {
            format!("{:.2} ({:.2}–{:.2}) {}", figure.median, figure.lower_quartile, figure.upper_quartile, line.unit)
        });
        // Writing into a string cannot fail.
        let _ = writeln!(
            out,
            "| {} | {} | {} | {judged} | {} | {} | {} | {} of {} |",
            line.title,
            cell(line.floor),
            cell(line.ours),
            line.bounds.goal,
            line.bounds.limit,
            line.verdict.words(),
            line.kept,
            line.tried
        );
    }
    for line in document.lines {
        for note in &line.notes {
            let _ = write!(out, "\n- {}: {note}", line.title);
        }
    }
    out.push('\n');
    out
}
