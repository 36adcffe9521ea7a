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

fn find_pages(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the repository can be read").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !NOT_OURS.contains(&name.as_str()) {
            find_pages(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
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
    let mut in_code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
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
