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

mod canary;
mod support;
mod tinode;

use support::mini::{self, Behaviour};
use support::proxy::{self, Fault};
use support::{Server, harness, harness_server, printed};

/// 20 members and 1 000 messages: 20 000 deliveries, so that a fault in 10 000 strikes.
fn fanout_arguments(target: &str) -> Vec<&str> {
    let load = ["--rooms", "1", "--members", "20", "--rate", "1000", "--burst", "4", "--seconds", "1"];
    ["run", "fanout", "--target", target].into_iter().chain(load).collect()
}

fn read_json(path: &str) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
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
        "--json",
        path,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let report: serde_json::Value = serde_json::from_reader(report).unwrap();
    let totals = &report["totals"];
    assert!(totals["acked"].as_u64() > Some(100) && totals["sent"] == totals["acked"], "{totals}");
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

/// A small load with everything that the realistic mix has.
fn mix_arguments(target: &str) -> Vec<String> {
    let set = ["prefill=30", "history.limit=10", "send.per_second=40", "history.per_second=80", "typing.per_second=20"];
    let set = set.into_iter().chain(["reconnect.per_second=20"]).flat_map(|one| ["--set", one]);
    let load = ["run", "mix", "--target", target, "--rooms", "2", "--members", "5", "--seconds", "1"];
    load.into_iter().chain(set).map(str::to_owned).collect()
}

#[test]
fn whoever_comes_back_goes_on_and_pages_are_checked() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("result.json").to_string_lossy().into_owned();
    let mut arguments = mix_arguments(&format!("http://{}", server.address));
    arguments.extend(["--json".to_owned(), json.clone()]);
    let output = harness(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let result = read_json(&json);
    let totals = &result["totals"];
    assert_eq!(totals["sent"], totals["acked"], "{totals}");
    for count in ["connects", "resumes", "pages", "typed"] {
        assert!(totals[count].as_u64() >= Some(15), "{count}: {totals}");
    }
    assert!(!result["series"].as_array().unwrap().is_empty(), "one point a second");
    assert!(result["latency"]["page"]["p99_us"].as_u64() > Some(0) && result["latency"]["connect"].is_object());
}

#[test]
fn a_server_that_leaves_out_what_it_replays_is_caught() {
    let target = format!("http://{}", mini::start(Behaviour::SkipsReplayed));
    let output = harness(&mix_arguments(&target));
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("loss x "), "{text}");
}

#[test]
fn a_page_that_leaves_a_message_out_is_caught() {
    let target = format!("http://{}", mini::start(Behaviour::LeavesOut));
    let output = harness(&mix_arguments(&target));
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("hole x ") && !text.contains("loss x "), "{text}");
}

#[test]
fn everybody_comes_while_it_is_measured() {
    let server = Server::start();
    let target = format!("http://{}", server.address);
    let load = ["--rooms", "3", "--members", "10", "--seconds", "1", "--set", "connect.per_second=60"];
    let arguments: Vec<_> = ["run", "connect-storm", "--target", &target].into_iter().chain(load).collect();
    let output = harness(&arguments);
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("connected          30"), "{text}");
}

#[test]
fn a_scenario_in_a_file_is_run_and_a_key_that_it_does_not_have_is_named() {
    let server = Server::start();
    let target = format!("http://{}", server.address);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.toml");
    let path = path.to_str().unwrap();
    let text = "seconds = 1\nrooms = 1\nmembers = 2\n[send]\nper_second = 50\n";
    std::fs::write(path, text).unwrap();
    let output = harness(&["run", path, "--target", &target]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    assert!(printed(&output).contains("two against"), "{}", printed(&output));
    std::fs::write(path, format!("{text}bursts = 3\n")).unwrap();
    let output = harness(&["run", path, "--target", &target]);
    assert_eq!(output.status.code(), Some(2));
    assert!(printed(&output).contains("unknown field `bursts`"), "{}", printed(&output));
}

#[test]
fn the_scenarios_are_listed_without_a_server() {
    let output = harness(&["run", "--list"]);
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for name in ["connect-storm", "idle", "big-room", "small-rooms", "mix", "history-readers", "slow-readers", "soak"] {
        assert!(text.contains(name), "{name}: {text}");
    }
}

#[test]
fn a_stall_of_the_server_counts_in_every_latency() {
    let (address, running) = harness_server(&["floor"]);
    let folder = tempfile::tempdir().unwrap();
    let (scenario, json) = (folder.path().join("stall.toml"), folder.path().join("stall.json"));
    let text = "seconds = 2\nrooms = 1\nmembers = 4\n[send]\nper_second = 100\n\
                [[fault]]\nkind = \"pause\"\nat = 0.5\nseconds = 1\n";
    std::fs::write(&scenario, text).unwrap();
    let (target, pid) = (format!("floor://{address}"), running.id().to_string());
    let (scenario, json) = (scenario.to_str().unwrap(), json.to_str().unwrap());
    let output = harness(&["run", scenario, "--target", &target, "--pid", &pid, "--json", json]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let result = read_json(json);
    // A closed loop would have sent one message into the second of silence; here a half of all were due in it.
    let median_us = result["latency"]["delivery"]["p50_us"].as_u64();
    let slowest_us = result["latency"]["delivery"]["max_us"].as_u64();
    assert!(slowest_us > Some(900_000) && median_us > Some(1_000), "{median_us:?} {slowest_us:?}");
    assert_eq!(result["faults"][0]["name"], "pause");
    assert!(result["server"]["series"].as_array().unwrap().iter().any(|point| point["cores"].is_number()));
}

fn run_with_metrics(behaviour: Behaviour) -> (Option<i32>, String) {
    let address = mini::start(behaviour);
    let (target, metrics) = (format!("http://{address}"), format!("http://{address}/metrics"));
    let mut arguments = fanout_arguments(&target);
    arguments.extend(["--metrics-url", &metrics]);
    let output = harness(&arguments);
    (output.status.code(), printed(&output))
}

#[test]
fn what_the_server_counts_is_held_against_what_clients_saw() {
    let (code, text) = run_with_metrics(Behaviour::Honest);
    assert_eq!(code, Some(0), "{text}");
    for figure in ["bobchat_messages_acknowledged_total", "bobchat_deliveries_total", "bobchat_sessions"] {
        let line = text.lines().find(|line| line.contains("agreed") && line.contains(figure));
        assert!(line.is_some(), "{figure}: {text}");
    }
    let (code, text) = run_with_metrics(Behaviour::Miscounts);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("metrics x 1") && text.contains("bobchat_messages_acknowledged_total rose by 999"), "{text}");
}

#[test]
fn several_processes_and_addresses_make_one_result() {
    let server = Server::start();
    let target = format!("http://{}", server.address);
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("result.json").to_string_lossy().into_owned();
    let load = ["--rooms", "3", "--members", "4", "--rate", "60", "--seconds", "2", "--processes", "2"];
    let run = ["run", "fanout", "--target", &target, "--sources", "2", "--json", &json];
    let output = harness(&run.into_iter().chain(load).collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let result = read_json(&json);
    assert_eq!((&result["processes"], &result["connections"]), (&2.into(), &12.into()));
    let (sent, delivered) = (result["totals"]["sent"].as_u64().unwrap(), result["totals"]["delivered"].as_u64());
    assert!(sent >= 119 && delivered == Some(sent * 4), "{result}");
    // Every delivery of both stands in the one distribution.
    let buckets = result["latency"]["delivery"]["buckets"].as_array().unwrap();
    assert_eq!(buckets.iter().map(|bucket| bucket[1].as_u64().unwrap()).sum::<u64>(), sent * 4);
}

#[test]
fn slow_readers_that_nobody_closes_prove_nothing() {
    let target = format!("http://{}", mini::start(Behaviour::Honest));
    let load = ["--seconds", "1", "--rate", "100", "--burst", "1", "--set", "slow.bytes_per_second=1000000"];
    let run = ["run", "slow-readers", "--target", &target];
    let output = harness(&run.into_iter().chain(load).collect::<Vec<_>>());
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("unproven x 2") && text.contains("closed 0 times, not 2"), "{text}");
}

#[test]
fn the_highest_load_that_holds_is_found() {
    let target = format!("http://{}", mini::start(Behaviour::Honest));
    let folder = tempfile::tempdir().unwrap();
    let (tokens, json) = (folder.path().join("tokens.jsonl"), folder.path().join("result.json"));
    // With the ninth user there are not enough tokens: that is the bound that breaks.
    let token = |_| "{\"access_token\": \"any\"}\n";
    std::fs::write(&tokens, (0..8).map(token).collect::<String>()).unwrap();
    let (tokens, json) = (tokens.to_str().unwrap(), json.to_str().unwrap());
    let load = ["--rooms", "1", "--members", "2", "--seconds", "0.3", "--set", "bounds.p99_ms=10000"];
    let run = ["run", "fanout", "--find-max", "--target", &target, "--tokens", tokens, "--json", json];
    let output = harness(&run.into_iter().chain(load).collect::<Vec<_>>());
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("the highest load that held: 8 users"), "{text}");
    assert_eq!(read_json(json)["search"]["highest"], 8);
}

#[test]
fn a_search_waits_until_the_members_of_its_last_run_are_gone() {
    let address = mini::start(Behaviour::NoticesLate);
    let (target, metrics) = (format!("http://{address}"), format!("http://{address}/metrics"));
    // The first run breaks the bound, so a smaller one follows at once.
    let load = ["--rooms", "2", "--members", "2", "--seconds", "0.3", "--set", "bounds.p99_ms=0.0"];
    let run = ["run", "fanout", "--find-max", "--target", &target, "--metrics-url", &metrics];
    let text = printed(&harness(&run.into_iter().chain(load).collect::<Vec<_>>()));
    assert!(text.contains(" 2 users ") && !text.contains("bobchat_sessions rose"), "{text}");
}

#[test]
fn no_load_holds_a_bound_that_nobody_can_keep() {
    let server = Server::start();
    let target = format!("http://{}", server.address);
    let load = ["--rooms", "1", "--members", "2", "--seconds", "0.3", "--set", "bounds.p99_ms=0.0"];
    let run = ["run", "fanout", "--find-max", "--target", &target];
    let output = harness(&run.into_iter().chain(load).collect::<Vec<_>>());
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("no load held") && text.contains("above 0 ms"), "{text}");
}

#[test]
fn results_become_a_page_and_two_stand_side_by_side() {
    let server = Server::start();
    let target = format!("http://{}", server.address);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (json, one, two) = (path("a.json"), path("one.html"), path("two.html"));
    let mut arguments = fanout_arguments(&target);
    arguments.extend(["--json", &json, "--html", &one]);
    let output = harness(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    assert!(output.stderr.is_empty(), "where standard error is no terminal, nothing is shown meanwhile");
    let output = harness(&["report", &json, &json, "--html", &two]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let (one, two) = (std::fs::read_to_string(one).unwrap(), std::fs::read_to_string(two).unwrap());
    assert!(one.contains("Delivery latency over time") && !one.contains("B / A"));
    assert!(two.matches("<figure>").count() == 2 * one.matches("<figure>").count() && two.contains("B / A"));
    std::fs::write(&json, "{\"version\": 99}").unwrap();
    assert_eq!(harness(&["report", &json, "--html", &path("c.html")]).status.code(), Some(2));
}

#[test]
fn what_cannot_end_well_is_told_before_anybody_is_signed_up() {
    // Nobody listens there, which would be told next.
    let nowhere = ["run", "fanout", "--target", "http://127.0.0.1:9"];
    let cases: [(&[&str], &str); 8] = [
        (&["--processes", "0"], "--processes is above 0"),
        (&["--processes", "3"], "need as many rooms"),
        (&["--sources", "0"], "--sources is above 0"),
        (&["--json", "/no/such/folder/a.json"], "/no/such/folder is no folder"),
        (&["--html", "/"], "it is a folder"),
        (&["--pid", "4194305"], "process 4194305 is gone"),
        (&["--metrics-url", "http://127.0.0.1:9/metrics"], "could not read the metrics at"),
        (&["--set", "fault=[{kind=\"pause\",at=1,seconds=1}]"], "a pause needs the --pid"),
    ];
    for (arguments, told) in cases {
        let output = harness(&nowhere.iter().chain(arguments).collect::<Vec<_>>());
        let text = printed(&output);
        assert!(output.status.code() == Some(2) && text.contains(told), "{arguments:?}: {text}");
    }
}

#[test]
fn a_server_that_is_not_there_is_told_and_no_violation() {
    let output = harness(&fanout_arguments("http://127.0.0.1:9"));
    assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
}
