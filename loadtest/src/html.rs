//! One or two results as a page to look at: one file that needs no network, in light and dark, with plots drawn
//! here.
//!
//! - [`charts`]: what is plotted. [`plot`]: how. [`scale`]: axes. [`table`]: figures side by side.

mod charts;
mod plot;
mod scale;
mod table;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;

use crate::run::Outcome;

const STYLE: &str = include_str!("html/style.css");

/// Writes a page of one result, or of two beside one another.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write(path: &Path, outcomes: &[&Outcome]) -> anyhow::Result<()> {
    std::fs::write(path, page(outcomes)?).with_context(|| format!("could not write {}", path.display()))
}

/// The page.
fn page(outcomes: &[&Outcome]) -> anyhow::Result<String> {
    let titles: Vec<&str> = outcomes.iter().map(|outcome| outcome.scenario.title.as_str()).collect();
    let title = escape(&titles.join(" and "));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} - load run</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
    );
    out.push_str(&heads(outcomes));
    out.push_str(&table::glance(outcomes));
    out.push_str(&charts::all(outcomes));
    for (outcome, name) in outcomes.iter().zip(names(outcomes)) {
        out.push_str(&details(outcome, name)?);
    }
    out.push_str("</main>\n</body>\n</html>\n");
    Ok(out)
}

/// What results are called where there are two.
fn names(outcomes: &[&Outcome]) -> &'static [&'static str] {
    if outcomes.len() > 1 { &["A", "B"] } else { &[""] }
}

/// What was run, and the verdict.
fn heads(outcomes: &[&Outcome]) -> String {
    let mut out = columns(outcomes);
    for (outcome, name) in outcomes.iter().zip(names(outcomes)) {
        // Writing into a string cannot fail.
        let _ = write_head(&mut out, outcome, name);
    }
    out + "</div>\n"
}

fn write_head(out: &mut String, outcome: &Outcome, name: &str) -> std::fmt::Result {
    let scenario = &outcome.scenario;
    let machine = &outcome.machine;
    let prefix = if name.is_empty() { String::new() } else { format!("<span class=\"name\">{name}</span> ") };
    writeln!(out, "<header>\n<h1>{prefix}{}</h1>", escape(&scenario.title))?;
    writeln!(out, "<p>{}</p>", escape(&scenario.about))?;
    writeln!(
        out,
        "<p class=\"facts\">{} rooms of {}, {:.0} s, {}, against {}<br>{}, {} cores, Linux {}</p>",
        scenario.rooms,
        scenario.members,
        outcome.seconds,
        escape(&outcome.format),
        escape(&outcome.targets.join(", ")),
        escape(&machine.cpu),
        machine.cores,
        escape(&machine.kernel)
    )?;
    if outcome.is_clean() {
        writeln!(out, "<p class=\"verdict\">Every promise kept.</p>")?;
    } else {
        writeln!(out, "<p class=\"verdict broken\">Broken:</p>\n<ul class=\"broken\">")?;
        for (kind, count) in &outcome.violations.counts {
            writeln!(out, "<li>{} × {count}</li>", kind.name())?;
        }
        for example in &outcome.violations.examples {
            writeln!(out, "<li class=\"example\">{}</li>", escape(example))?;
        }
        writeln!(out, "</ul>")?;
    }
    for fault in &outcome.faults {
        writeln!(out, "<p>Fault: {} from {:.1} s to {:.1} s</p>", escape(&fault.name), fault.from, fault.until)?;
    }
    if let Some(search) = &outcome.search {
        writeln!(out, "<p class=\"verdict\">{}</p>", escape(&search.text()))?;
    }
    writeln!(out, "</header>")
}

/// Everything else, folded away.
fn details(outcome: &Outcome, name: &str) -> anyhow::Result<String> {
    let scenario = escape(&serde_json::to_string_pretty(&outcome.scenario)?);
    let mut out = String::new();
    if let Some(search) = &outcome.search {
        out.push_str(&table::search(search, name));
    }
    out.push_str(&table::agreement(outcome, name));
    out.push_str(&table::seconds(outcome, name));
    write!(
        out,
        "<details>\n<summary>{name} The scenario as it was run</summary>\n<pre>{scenario}</pre>\n</details>\n"
    )?;
    Ok(out)
}

/// Opens a row of as many columns as there are results.
fn columns(outcomes: &[&Outcome]) -> String {
    format!("<div class=\"columns of-{}\">\n", outcomes.len())
}

/// Text inside markup.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
