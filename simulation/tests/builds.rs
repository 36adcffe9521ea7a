//! Bugs can be planted in what tests are run on, and in nothing else.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not covered by the exceptions for tests")]

use std::process::Command;

use bobchat_actors::plant::{self, Bug};

/// The packages of a build with their features, as cargo resolves them for these arguments.
fn features(arguments: &[&str]) -> Vec<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p} {f}"]);
    let output = cargo.args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_server_alone_is_built_without_planted_bugs_and_the_workspace_with_them() {
    let ours = |packages: &[String]| packages.iter().filter(|package| package.starts_with("bobchat")).count();
    let planted = |packages: &[String]| packages.iter().filter(|package| package.contains("planted-bugs")).count();
    let (alone, workspace) = (features(&["--package", "bobchat"]), features(&["--workspace"]));
    assert!(ours(&alone) >= 3, "the server, its core, its protocol: {alone:?}");
    assert_eq!(planted(&alone), 0, "{alone:?}");
    assert!(planted(&workspace) >= 2, "{workspace:?}");
}

#[test]
fn a_bug_is_planted_in_the_thread_that_asks_for_it() {
    assert_eq!(plant::described(), Some("none"));
    plant::plant_here(Some(Bug::NoGapCheck));
    assert!(plant::is(Bug::NoGapCheck) && !plant::is(Bug::DoubleOnRetry));
    assert_eq!(plant::described(), Some("no-gap-check"));
    assert!(!std::thread::spawn(|| plant::is(Bug::NoGapCheck)).join().unwrap());
    plant::plant_here(None);
    assert_eq!(plant::described(), Some("none"));
}
