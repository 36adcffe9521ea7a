//! Holds docs/protocol.md to the code: a client is written from that page alone.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod schema;

use bobchat_proto::codec::{Format, decode_client_frame};
use bobchat_proto::error::{CloseCode, ErrorCode};
use bobchat_proto::limits;
use bobchat_proto::wire::ClientFrame;

const PAGE: &str = include_str!("../../docs/protocol.md");

/// What stands under a heading, up to the next one of the same level or above.
fn section(heading: &str) -> &'static str {
    let start = PAGE.find(&format!("\n{heading}\n")).expect("the page has the heading") + heading.len() + 2;
    let body = PAGE.get(start..).unwrap_or_default();
    let end = body.find("\n## ").unwrap_or(body.len());
    body.get(..end).unwrap_or_default()
}

/// The rows of the first table of a section, without its head, cell by cell.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let rows =
        section(heading).lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    rows.skip(2).map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// Some cells of a row.
fn cells(row: &[&str], columns: &[usize]) -> String {
    let cells: Vec<&str> = columns.iter().filter_map(|at| row.get(*at).copied()).collect();
    cells.join(" | ")
}

#[test]
fn the_page_says_every_error_code_with_its_advice() {
    // Not the HTTP status, which is the server's: its own test holds that.
    let stands: Vec<String> = table("## Errors").iter().map(|row| cells(row, &[0, 1, 3])).collect();
    let expected: Vec<String> = ErrorCode::ALL
        .iter()
        .map(|code| {
            let temporary = if code.is_temporary() { "yes" } else { "no" };
            format!("`{}` | {temporary} | {}", code.as_str(), code.advice())
        })
        .collect();
    assert_eq!(stands, expected, "docs/protocol.md, Errors, should be\n{}", expected.join("\n"));
}

#[test]
fn the_page_says_every_close_code() {
    let rows = table("## Close codes");
    let stands: Vec<String> = rows.iter().map(|row| cells(row, &[0, 1])).collect();
    let expected: Vec<String> =
        CloseCode::ALL.iter().map(|code| format!("{} | {}", code.code(), code.reason())).collect();
    assert_eq!(stands, expected, "docs/protocol.md, Close codes, should be\n{}", expected.join("\n"));
    assert!(rows.iter().all(|row| row.get(2).is_some_and(|happened| !happened.is_empty())));
}

#[test]
fn the_page_has_a_part_for_every_request() {
    let stands: Vec<&str> =
        section("## Requests").lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    let mut expected = ClientFrame::REQUESTS.to_vec();
    let mut sorted = stands.clone();
    sorted.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sorted, expected);
}

#[test]
fn the_page_names_every_field_of_every_request_and_answer() {
    for request in schema::message("ClientFrame").fields() {
        let kind = request.kind();
        let Some(asked) = kind.as_message() else { continue };
        let part = request_part(request.name());
        let answered = schema::message(&format!("{}Ok", asked.name()));
        for field in asked.fields().chain(answered.fields()) {
            assert!(part.contains(field.name()), "{}: the page does not name {}", request.name(), field.name());
        }
    }
}

/// What the page says of one request.
fn request_part(name: &str) -> &'static str {
    let requests = section("## Requests");
    let heading = format!("### `{name}`\n");
    let start = requests.find(&heading).expect("the request has a part") + heading.len();
    let part = requests.get(start..).unwrap_or_default();
    part.split("\n### ").next().unwrap_or_default()
}

#[test]
fn the_page_names_every_kind_of_event_and_signal() {
    for event in messages_in("Event") {
        assert!(section("## Events").contains(&format!("`\"{event}\":")), "{event}");
    }
    for signal in messages_in("ServerFrame").iter().filter(|name| !["ok", "error", "event"].contains(&name.as_str())) {
        assert!(section("## Signals").contains(&format!("`\"{signal}\":")), "{signal}");
    }
}

/// The names of a message's fields that are messages themselves.
fn messages_in(name: &str) -> Vec<String> {
    let fields = schema::message(name).fields().collect::<Vec<_>>();
    let messages = fields.iter().filter(|field| field.kind().as_message().is_some());
    messages.map(|field| field.name().to_owned()).collect()
}

#[test]
fn the_page_says_every_limit() {
    let seconds = |duration: std::time::Duration| format!("{} s", duration.as_secs());
    let kib = |bytes: usize| format!("{} KiB", bytes / 1024);
    let expected = [
        ("FRAME_BYTES_BEFORE_AUTH_MAX", kib(limits::FRAME_BYTES_BEFORE_AUTH_MAX)),
        ("FRAME_BYTES_MAX", kib(limits::FRAME_BYTES_MAX)),
        ("MESSAGE_BYTES_MAX", kib(limits::MESSAGE_BYTES_MAX)),
        ("MESSAGE_GRAPHEMES_MAX", thousands(limits::MESSAGE_GRAPHEMES_MAX as u64)),
        ("KEY_LENGTH_MAX", limits::KEY_LENGTH_MAX.to_string()),
        ("KEY_LIFETIME", format!("{} h", limits::KEY_LIFETIME.as_secs() / 3600)),
        ("ROOM_NAME_CHARS_MAX", limits::ROOM_NAME_CHARS_MAX.to_string()),
        ("ROOM_TOPIC_CHARS_MAX", limits::ROOM_TOPIC_CHARS_MAX.to_string()),
        ("USER_NAME_CHARS_MAX", limits::USER_NAME_CHARS_MAX.to_string()),
        ("PAGE_ITEMS_DEFAULT", limits::PAGE_ITEMS_DEFAULT.to_string()),
        ("PAGE_ITEMS_MAX", limits::PAGE_ITEMS_MAX.to_string()),
        ("PAGE_BYTES_MAX", kib(limits::PAGE_BYTES_MAX)),
        ("CURSORS_MAX", limits::CURSORS_MAX.to_string()),
        ("PRESENT_USERS_MAX", thousands(limits::PRESENT_USERS_MAX as u64)),
        ("USER_GET_MAX", limits::USER_GET_MAX.to_string()),
        ("RESUME_EVENTS_MAX", thousands(limits::RESUME_EVENTS_MAX)),
        ("AUTH_DEADLINE", seconds(limits::AUTH_DEADLINE)),
        ("RENEW_GRACE", seconds(limits::RENEW_GRACE)),
        ("TYPING_LIFETIME", seconds(limits::TYPING_LIFETIME)),
        ("REQUEST_ID_MAX", format!("2^{}", limits::REQUEST_ID_MAX.ilog2())),
    ];
    let rows = table("## Limits");
    let stands: Vec<(&str, String)> = rows
        .iter()
        .map(|row| (row.get(2).map_or("", |name| name.trim_matches('`')), row.get(1).unwrap_or(&"").to_string()))
        .collect();
    assert_eq!(stands, expected);
    let constants = include_str!("../src/limits.rs").lines().filter_map(|line| line.strip_prefix("pub const "));
    let names: Vec<&str> = constants.filter_map(|line| line.split(':').next()).collect();
    assert_eq!(names, expected.map(|(name, _)| name), "every constant of limits.rs stands on the page");
}

/// A number with a space between thousands, as the page writes it.
fn thousands(number: u64) -> String {
    if number < 1000 { number.to_string() } else { format!("{} {:03}", number / 1000, number % 1000) }
}

#[test]
fn what_one_types_in_the_conversation_is_understood() {
    let typed: Vec<&str> = section("## A conversation").lines().filter_map(|line| line.strip_prefix("> ")).collect();
    assert!(typed.len() >= 4);
    for line in typed {
        let frame =
            decode_client_frame(line.as_bytes(), Format::Json).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(frame.request.is_some(), "{line}");
    }
}
