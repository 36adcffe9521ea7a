//! What the bench says: a table for people, Markdown for the documentation, JSON for programs.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use super::Options;
use super::chart;
use super::judge::{Judged as _, Line};
use crate::machine::Machine;
use crate::say::say;

/// Everything, for programs.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    pub(super) machine: Machine,
    pub(super) lines: &'a [Line],
}

/// Says and writes the outcome.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn publish(options: &Options, lines: &[Line]) -> anyhow::Result<()> {
    let document = Document { machine: Machine::this(), lines };
    let markdown = markdown(&document);
    write(&options.out.join("bench.json"), &serde_json::to_string_pretty(&document)?)?;
    write(&options.out.join("bench.md"), &markdown)?;
    if chart::DRAWN.iter().all(|(bar, _)| lines.iter().any(|line| line.name == bar.name() && line.figure.is_some())) {
        if let Some(folder) = options.chart.parent() {
            std::fs::create_dir_all(folder)?;
        }
        write(&options.chart, &chart::draw(lines))?;
    }
    say("");
    say(&markdown);
    Ok(())
}

pub(super) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("could not write {}", path.display()))
}

/// One line for people.
pub(super) fn line_text(line: &Line) -> String {
    let figure = line.figure.map_or("-".to_owned(), |figure| {
        let [middle, low, high] = [figure.median, figure.lower_quartile, figure.upper_quartile].map(number);
        format!("{middle} ({low}-{high}) {}", line.unit)
    });
    let mut text = format!("{:<52} {figure:<26} {}", line.title, line.verdict.words());
    // Writing into a string cannot fail.
    let _ = write!(text, "  [{} of {} kept; {}]", line.kept, line.tried, absolutes(line));
    for note in &line.notes {
        let _ = write!(text, "\n    {note}");
    }
    text
}

fn absolutes(line: &Line) -> String {
    let figure = |figure: Option<f64>| figure.map_or("-".to_owned(), number);
    let (floor, ours, baseline) = (figure(line.floor), figure(line.ours), figure(line.baseline));
    format!("floor {floor}, ours {ours}, baseline {baseline} {}", line.absolute_unit)
}

/// A figure with as many digits as it deserves.
pub(super) fn number(figure: f64) -> String {
    if figure >= 100.0 { format!("{figure:.0}") } else { format!("{figure:.2}") }
}

fn markdown(document: &Document<'_>) -> String {
    let Machine { cpu, cores, kernel } = &document.machine;
    let mut out = format!("{cpu}, {cores} cores, Linux {kernel}. Server on one core, harness on the other.\n\n");
    out.push_str("| figure | floor | ours | baseline | judged (quartiles) | goal | limit | verdict |\n");
    out.push_str("|---|---|---|---|---|---|---|---|\n");
    for line in document.lines {
        let cell = |figure: Option<f64>| {
            figure.map_or("–".to_owned(), |figure| format!("{} {}", number(figure), line.absolute_unit))
        };
        let judged = line.figure.map_or("–".to_owned(), |figure| {
            let [middle, low, high] = [figure.median, figure.lower_quartile, figure.upper_quartile].map(number);
            format!("{middle} ({low}–{high})")
        });
        // Writing into a string cannot fail.
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {judged} | {} | {} | {} |",
            line.title,
            cell(line.floor),
            cell(line.ours),
            cell(line.baseline),
            line.bounds.goal,
            line.bounds.limit,
            line.verdict.words()
        );
    }
    out
}
