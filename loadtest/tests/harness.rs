//! The harness held against servers that keep their promises, and against a proxy that breaks them.
//!
//! With `BOBCHAT_BIN=target/debug/bobchat` the same tests run against the real server.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "helpers of tests are not covered by the exceptions of clippy.toml"
)]

mod support;

use support::mini::{self, Behaviour};
use support::proxy::{self, Fault};
use support::{Server, harness, harness_server, printed};

/// 20 members and 1 000 messages: 20 000 deliveries, so that a fault in 10 000 strikes.
fn fanout_arguments(target: &str) -> Vec<&str> {
    let load = ["--rooms", "1", "--members", "20", "--rate", "1000", "--burst", "4", "--seconds", "1"];
    ["run", "fanout", "--target", target].into_iter().chain(load).collect()
}

fn run_through(fault: Fault) -> (Option<i32>, String) {
    let server = Server::start();
    let target = format!("http://{}", proxy::start(server.address, fault, 10_000));
    let output = harness(&fanout_arguments(&target));
    (output.status.code(), printed(&output))
}

#[test]
fn a_server_that_keeps_every_promise_passes() {
    let (code, text) = run_through(Fault::None);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("every promise kept"), "{text}");
}

#[test]
fn one_message_in_ten_thousand_dropped_is_a_loss() {
    let (code, text) = run_through(Fault::Drop);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("loss x ") && !text.contains("order x ") && !text.contains("double x "), "{text}");
}

#[test]
fn one_message_in_ten_thousand_doubled_is_a_double() {
    let (code, text) = run_through(Fault::Double);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("double x ") && !text.contains("order x ") && !text.contains("loss x "), "{text}");
}

#[test]
fn one_message_in_ten_thousand_swapped_is_out_of_order() {
    let (code, text) = run_through(Fault::Swap);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("order x ") && !text.contains("double x ") && !text.contains("loss x "), "{text}");
}

#[test]
fn a_rate_limit_is_answered_with_the_key_to_raise() {
    let target = format!("http://{}", mini::start(Behaviour::RateLimited));
    let output = harness(&fanout_arguments(&target));
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("rate_limited") && text.contains("raise limits.sends_per_second"), "{text}");
}

#[test]
fn a_closed_window_keeps_all_promises_too() {
    let server = Server::start();
    let target = format!("http://{}", server.address);
    let report = tempfile::NamedTempFile::new().unwrap();
    let path = report.path().to_str().unwrap();
    let output = harness(&[
        "run",
        "throughput",
        "--target",
        &target,
        "--rooms",
        "2",
        "--members",
        "2",
        "--seconds",
        "1",
        "--report",
        path,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let report: serde_json::Value = serde_json::from_reader(report).unwrap();
    assert!(report["acked"].as_u64() > Some(100) && report["sent"] == report["acked"], "{report}");
}

#[test]
fn json_is_checked_like_protobuf() {
    let server = Server::start();
    let target = format!("http://{}", server.address);
    let arguments: Vec<_> = fanout_arguments(&target).into_iter().chain(["--format", "json"]).collect();
    let output = harness(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
}

#[test]
fn the_floor_and_the_baseline_pass_the_same_checks() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("floor.redb");
    let servers: [(&str, Vec<&str>); 3] = [
        ("floor", vec!["floor"]),
        ("floor", vec!["floor", "--batch", "4", "--store", store.to_str().unwrap()]),
        ("baseline", vec!["baseline"]),
    ];
    for (scheme, arguments) in servers {
        let (address, _running) = harness_server(&arguments);
        let target = format!("{scheme}://{address}");
        let output = harness(&fanout_arguments(&target));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", printed(&output));
    }
}

#[test]
fn a_server_that_is_not_there_is_told_and_no_violation() {
    let output = harness(&fanout_arguments("http://127.0.0.1:9"));
    assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
}
