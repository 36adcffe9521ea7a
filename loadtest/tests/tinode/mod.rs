//! The harness at a small server that speaks Tinode's protocol.

use super::read_json;
use super::support::tinode::Tinode;
use super::support::{harness, printed};

/// Runs a second of a scenario; gives the exit code, what was printed, and the totals if there are any.
fn run(scenario: &str, target: &str, more: &[&str]) -> (Option<i32>, String, serde_json::Value) {
    let json = tempfile::NamedTempFile::new().unwrap();
    let path = json.path().to_str().unwrap();
    let common = ["run", scenario, "--target", target, "--seconds", "1", "--json", path];
    let output = harness(&[common.as_slice(), more].concat());
    let totals = if output.status.success() { read_json(path)["totals"].clone() } else { serde_json::Value::Null };
    (output.status.code(), printed(&output), totals)
}

#[test]
fn members_learn_the_names_of_rooms_and_pass_every_check() {
    let target = format!("tinode://{}", Tinode::default().start());
    let rooms = ["--rooms", "3", "--members", "5", "--rate", "60"];
    let (code, text, totals) = run("fanout", &target, &rooms);
    assert!(code == Some(0) && text.contains("every promise kept"), "{text}");
    let counted = ["sent", "acked", "delivered"].map(|figure| totals[figure].as_u64());
    assert_eq!(counted, [Some(60), Some(60), Some(300)], "{totals}");
    let (code, text, totals) = run("throughput", &target, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(totals["acked"].as_u64() > Some(100) && totals["acked"] == totals["sent"], "{totals}");
}

#[test]
fn members_who_come_while_it_is_measured_find_their_rooms() {
    let target = format!("tinode://{}", Tinode::default().start());
    let (code, text, totals) = run("connect-storm", &target, &["--rooms", "4", "--members", "10"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(totals["connects"].as_u64(), Some(40), "{totals}");
}

#[test]
fn a_delivery_that_tinode_leaves_out_is_a_loss() {
    let server = Tinode { loses_one_in: Some(97), ..Tinode::default() };
    let (code, text, _) = run("fanout", &format!("tinode://{}", server.start()), &[]);
    assert!(code == Some(1) && text.contains("loss x "), "{text}");
}

#[test]
fn a_room_that_is_too_big_names_what_to_configure() {
    let server = Tinode { max_subscriber_count: 8, ..Tinode::default() };
    let (code, text, _) = run("fanout", &format!("tinode://{}", server.start()), &["--members", "9"]);
    assert!(code == Some(2) && text.contains("max_subscriber_count in tinode.conf"), "{text}");
}

#[test]
fn whoever_may_not_sign_up_is_told_what_to_configure() {
    let server = Tinode { anonymous: false, ..Tinode::default() };
    let (code, text, _) = run("fanout", &format!("tinode://{}", server.start()), &[]);
    assert!(code == Some(2) && text.contains("acc_validation"), "{text}");
}

#[test]
fn another_api_key_is_given_with_the_target_and_a_wrong_one_is_told() {
    let address = Tinode { api_key: "AQ_other", ..Tinode::default() }.start();
    let (code, text, _) = run("fanout", &format!("tinode://{address}"), &[]);
    assert!(code == Some(2) && text.contains("?apikey=KEY"), "{text}");
    let json = tempfile::NamedTempFile::new().unwrap();
    let path = json.path().to_str().unwrap();
    // Two processes: each gets the key.
    let target = format!("tinode://{address}?apikey=AQ_other");
    let parts = ["--rooms", "2", "--processes", "2", "--seconds", "1", "--json", path];
    let output = harness(&[["run", "fanout", "--target", target.as_str()].as_slice(), &parts].concat());
    assert!(output.status.success(), "{}", printed(&output));
    assert!(!std::fs::read_to_string(path).unwrap().contains("AQ_other"), "results are shown around");
}
