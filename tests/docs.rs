//! Holds the pages of the repository to the code, and to each other: every link leads somewhere, down to the
//! heading.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bobchat::web::error::status;
use bobchat_proto::error::ErrorCode;

/// Folders that hold what was fetched or built.
const NOT_OURS: [&str; 5] = ["target", "node_modules", "dist", "data", ".git"];

#[test]
fn every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = Vec::new();
    find_pages(root, &mut pages);
    assert!(pages.len() > 5, "the pages were not found: {pages:?}");
    let broken: Vec<String> = pages.iter().flat_map(|page| broken_links(page)).collect();
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

/// Prometheus itself holds the rules to their tests (`make test`, promtool); what they name is held to the code here.
#[test]
fn every_alert_has_a_runbook_and_goes_by_metrics_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("a file of the repository can be read");
    let (rules, tests) = (read("monitoring/prometheus/rules.yaml"), read("monitoring/prometheus/rules.test.yaml"));
    let runbooks = headings(&read("docs/runbooks.md"));
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10, "the alerts were not found: {alerts:?}");
    for alert in alerts {
        let heading = alert.to_lowercase();
        assert!(runbooks.contains(&heading), "docs/runbooks.md says nothing of {alert}");
        assert!(rules.contains(&format!("runbook: docs/runbooks.md#{heading}\n")), "{alert} does not name its runbook");
        assert!(tests.contains(&format!("  - name: {alert}\n")), "rules.test.yaml does not show {alert}");
    }
    for dashboard in rules.lines().filter_map(|line| line.trim().strip_prefix("dashboard: /d/bobchat-")) {
        assert!(
            root.join(format!("monitoring/grafana/dashboards/{dashboard}.json")).exists(),
            "no dashboard {dashboard}"
        );
    }
    go_by_metrics_that_exist("rules.yaml", &rules);
}

/// Their queries are run on a real Prometheus (`make test-ops`); here is what can be seen without one.
#[test]
fn every_dashboard_goes_by_metrics_that_exist_and_links_to_runbooks_that_do() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let runbooks = headings(
        &std::fs::read_to_string(root.join("docs/runbooks.md")).expect("a file of the repository can be read"),
    );
    let mut files = Vec::new();
    find_files(&root.join("monitoring/grafana/dashboards"), "json", &mut files);
    assert!(files.len() >= 5, "the dashboards were not found: {files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a dashboard can be read");
        let dashboard: serde_json::Value = serde_json::from_str(&text).expect("a dashboard is JSON");
        let name = file.display();
        assert_eq!(dashboard["uid"], format!("bobchat-{}", file.file_stem().expect("a name").display()));
        let panels = dashboard["panels"].as_array().expect("panels");
        let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
        assert_eq!(ids.len(), panels.len(), "{name}: two panels have one id");
        for panel in panels.iter().filter(|panel| panel["type"] != "row") {
            let title = &panel["title"];
            assert!(
                panel["description"].as_str().is_some_and(|text| !text.is_empty()),
                "{name}: {title}: no description"
            );
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{name}: {title}: no unit");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{name}: {title}: a fixed datasource");
            for target in panel["targets"].as_array().expect("targets") {
                go_by_metrics_that_exist(&format!("{name}: {title}"), target["expr"].as_str().expect("a query"));
            }
        }
        for runbook in text.split("${runbooks}#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(runbooks.contains(runbook), "{name}: no runbook {runbook}");
        }
    }
}

/// Every name of a metric in `text` is one of the program, or of the canary.
fn go_by_metrics_that_exist(place: &str, text: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in ["src", "actors/src", "loadtest/src/canary"] {
        find_files(&root.join(folder), "rs", &mut sources);
    }
    let sources: String =
        sources.iter().map(|path| std::fs::read_to_string(path).expect("a source can be read")).collect();
    let names = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    for name in names.filter(|name| name.starts_with("bobchat_") || name.starts_with("process_")) {
        let endings = ["_total", "_bucket", "_count", "_info"];
        let registered = endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
        // Some registries put the beginning before the name themselves.
        let short = registered.trim_start_matches("bobchat_").trim_start_matches("canary_");
        let known = [registered, short].iter().any(|name| sources.contains(&format!("\"{name}\"")));
        assert!(known, "{place}: no metric is named {name}");
    }
}

fn find_pages(folder: &Path, pages: &mut Vec<PathBuf>) {
    find_files(folder, "md", pages);
}

fn find_files(folder: &Path, ending: &str, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the repository can be read").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !NOT_OURS.contains(&name.as_str()) {
            find_files(&path, ending, files);
        } else if path.extension().is_some_and(|extension| extension == ending) {
            files.push(path);
        }
    }
}

fn broken_links(page: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).expect("a page can be read");
    let links = links(&text).into_iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:"));
    links.filter_map(|link| Some(format!("{}: {link}: {}", page.display(), fault(page, &link)?))).collect()
}

/// Why a link leads nowhere.
fn fault(page: &Path, link: &str) -> Option<&'static str> {
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let folder = page.parent().unwrap_or(page);
    let target = if file.is_empty() { page.to_path_buf() } else { folder.join(file) };
    if !target.exists() {
        return Some("there is no such file");
    }
    let known = heading.is_empty() || target.extension().is_none_or(|extension| extension != "md") || {
        headings(&std::fs::read_to_string(&target).unwrap_or_default()).contains(heading)
    };
    (!known).then_some("the page has no such heading")
}

/// The targets of `[text](target)`, but for those in blocks of code.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    for line in prose(text) {
        for rest in line.split("](").skip(1) {
            links.extend(rest.split([')', ' ']).next().map(str::to_owned));
        }
    }
    links
}

/// The names that headings get in addresses: lower case, spaces as hyphens, nothing but letters, digits,
/// hyphens and underscores.
fn headings(text: &str) -> BTreeSet<String> {
    let titles =
        prose(text).filter_map(|line| line.strip_prefix('#')).map(|title| title.trim_start_matches('#').trim());
    titles
        .map(|title| {
            let kept = title.to_lowercase().replace(' ', "-");
            kept.chars().filter(|letter| letter.is_alphanumeric() || ['-', '_'].contains(letter)).collect()
        })
        .collect()
}

/// The lines outside of blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    told_apart(text).filter(|(_, in_code)| !in_code).map(|(line, _)| line)
}

/// The lines of blocks of code.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    told_apart(text).filter(|(_, in_code)| *in_code).map(|(line, _)| line)
}

/// The lines but for fences, each with whether it stands in a block of code.
fn told_apart(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut in_code = false;
    text.lines().filter_map(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        (!fence).then_some((line, in_code))
    })
}

/// A link with a name in backticks or in quotation marks promises that the file holds it: a test, mostly.
#[test]
fn what_a_link_names_stands_in_its_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = Vec::new();
    find_pages(root, &mut pages);
    let missing: Vec<String> = pages.iter().flat_map(|page| missing_names(page)).collect();
    assert!(missing.is_empty(), "names that are not there:\n{}", missing.join("\n"));
}

fn missing_names(page: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).expect("a page can be read");
    let folder = page.parent().unwrap_or(page);
    let is_missing = |(name, target): &(String, String)| {
        let file = std::fs::read_to_string(folder.join(target)).unwrap_or_default();
        !file.contains(name.as_str())
    };
    let names = named_links(&text).into_iter().filter(is_missing);
    names.map(|(name, target)| format!("{}: {name} in {target}", page.display())).collect()
}

/// Names and targets of links to code whose text is one name in backticks or quotation marks.
fn named_links(text: &str) -> Vec<(String, String)> {
    let mut named = Vec::new();
    for line in prose(text) {
        for (before, after) in line.match_indices("](").map(|(at, mark)| (&line[..at], &line[at + mark.len()..])) {
            let Some((_, label)) = before.rsplit_once('[') else { continue };
            let name = [('`', '`'), ('"', '"')].iter().find_map(|(open, close)| {
                label.strip_prefix(*open)?.strip_suffix(*close).filter(|name| !name.contains(*close))
            });
            let target = after.split([')', '#']).next().unwrap_or_default();
            let is_code = [".rs", ".ts", ".mjs"].iter().any(|ending| target.ends_with(ending));
            named.extend(name.filter(|_| is_code).map(|name| (name.to_owned(), target.to_owned())));
        }
    }
    named
}

#[test]
fn a_named_link_is_told_from_others() {
    let text = "[`one_test`](a.rs), [\"two words\"](b.ts), [`page`](c.md), [three](d.rs)";
    let expected = [("one_test", "a.rs"), ("two words", "b.ts")].map(|(name, file)| (name.to_owned(), file.to_owned()));
    assert_eq!(named_links(text), expected);
}

#[test]
fn the_operations_page_explains_every_metric() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/operations.md")).expect("the page can be read");
    let mut sources = Vec::new();
    find_files(&root.join("src"), "rs", &mut sources);
    find_files(&root.join("actors/src"), "rs", &mut sources);
    let text: String = sources.iter().filter_map(|source| std::fs::read_to_string(source).ok()).collect();
    let names: BTreeSet<&str> = text.split('"').filter(|literal| is_metric(literal)).collect();
    assert!(names.len() > 20, "the metrics were not found: {names:?}");
    let unexplained: Vec<_> = names.iter().filter(|name| !page.contains(**name)).collect();
    assert!(unexplained.is_empty(), "docs/operations.md says nothing of {unexplained:?}");
}

fn is_metric(literal: &str) -> bool {
    ["bobchat_", "process_"].iter().any(|prefix| literal.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()))
        && literal.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
}

/// What a page tells somebody to make can be made.
#[test]
fn every_target_that_a_page_names_is_in_the_makefile() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let makefile = std::fs::read_to_string(root.join("Makefile")).expect("the Makefile can be read");
    let mut pages = Vec::new();
    find_pages(root, &mut pages);
    for page in pages {
        let text = std::fs::read_to_string(&page).expect("a page can be read");
        let spans = prose(&text).flat_map(|line| line.split('`').skip(1).step_by(2));
        let commands = blocks(&text).chain(spans).filter_map(|part| part.strip_prefix("make "));
        for target in commands.flat_map(|rest| rest.split_whitespace().take_while(|word| !word.contains(['=', '#']))) {
            assert!(makefile.contains(&format!("\n{target}: ")), "{}: make {target}", page.display());
        }
    }
}

/// The page is worth what its gaps say: a line without a test says why.
#[test]
fn every_line_of_the_page_on_attacks_names_its_test_or_says_why_there_is_none() {
    let page = include_str!("../docs/security-tests.md");
    let rows = prose(page).filter_map(|line| line.strip_prefix("| "));
    let rows = rows.filter_map(|row| Some((row.split(" | ").next()?.parse::<usize>().ok()?, row)));
    let (numbers, rows): (Vec<_>, Vec<_>) = rows.unzip();
    assert_eq!(numbers, (1..=50).collect::<Vec<_>>(), "numbered without a gap");
    for row in rows {
        let held = row.trim_end_matches(" |").splitn(3, " | ").nth(2).unwrap_or_default();
        let has_reason = held.split_whitespace().count() >= 5;
        assert!(!named_links(held).is_empty() || has_reason, "neither a test nor a reason: {row}");
    }
}

/// Values are bound to statements: what is put into their text is the keyspace, which is checked, and our own schema.
#[test]
fn no_value_stands_in_the_text_of_a_statement_to_cassandra() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    find_files(&root.join("src/adapters/cassandra"), "rs", &mut sources);
    assert!(sources.len() > 10, "the adapter was not found: {sources:?}");
    for path in sources {
        let source = std::fs::read_to_string(&path).expect("a source can be read");
        let made = source.split("format!(").skip(1).map(|rest| rest.split(';').next().unwrap_or_default());
        for statement in made.filter(|text| is_statement(text)) {
            let values: Vec<&str> = statement.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
            let is_ours = |value: &&str| ["name", "class", "columns", "id"].contains(value);
            let is_keyspace = |value: &&str| value.is_empty() && statement.contains("keyspace.as_str()");
            let is_fine = values.iter().all(|value| is_ours(value) || is_keyspace(value));
            assert!(is_fine, "{}: {statement}", path.display());
        }
    }
}

fn is_statement(text: &str) -> bool {
    let literal = text.trim_start().trim_start_matches('"');
    ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "CREATE ", "ALTER ", "USE "]
        .iter()
        .any(|word| literal.starts_with(word))
}

#[test]
fn a_heading_is_named_as_in_addresses() {
    let names = headings("# One\n## Receiving: cursors, resume, reset\n```\n# not this\n```\n### `auth_renew`\n");
    let expected = ["one", "receiving-cursors-resume-reset", "auth_renew"].map(str::to_owned);
    assert_eq!(names, BTreeSet::from(expected));
}

#[test]
fn the_protocol_page_says_the_status_of_each_error() {
    let page = include_str!("../docs/protocol.md");
    for code in ErrorCode::ALL {
        let temporary = if code.is_temporary() { "yes" } else { "no" };
        let row = format!("| `{}` | {temporary} | {} |", code.as_str(), status(*code).as_u16());
        assert!(page.contains(&row), "docs/protocol.md should say {row}");
    }
}
