//! The harness's torture against this server: real processes, broken by a schedule, judged by what was written down.
//!
//! Short runs of one node with its own store. Clusters are tests/cluster's; everything longer is `make torture`.

#![expect(clippy::expect_used, reason = "a test fails by panicking, its helpers too")]

use std::path::PathBuf;

use bobchat_loadtest::torture::{CASES, Case, Judgement, Order, Store, conduct, judge};

/// Seconds that a debug build may take to come back on a machine that runs other tests as well. The bar of 2 s is held
/// by `make torture`.
const RECOVERY_MAX: f64 = 6.0;

/// An order that says nothing beside what it finds.
fn order(folder: &tempfile::TempDir) -> Order {
    let bobchat = PathBuf::from(env!("CARGO_BIN_EXE_bobchat"));
    Order { quiet: true, recovery: Some(RECOVERY_MAX), ..Order::new(bobchat, folder.path().to_owned()) }
}

fn torture(order: &Order) -> Judgement {
    conduct(order).expect("it can be run")
}

#[test]
fn a_node_that_is_killed_paused_restarted_and_out_of_space_keeps_every_promise() {
    let folder = tempfile::tempdir().expect("a folder");
    let faults = ["kill", "pause", "restart", "disk-full", "storm"].map(str::to_owned).to_vec();
    let like = Order { seed: 3, secs: 22.0, every: Some(3.0), clients: 30, acks_min: 1_000, ..order(&folder) };
    let order = Order { faults, ..like };
    let judgement = torture(&order);
    assert!(judgement.is_proof(), "{judgement}");
    assert_eq!(judgement.faults().len(), 5, "every kind that is none of the network: {judgement}");
    // What is on disk says the same again.
    let again = judge(&folder.path().join("history")).expect("it is a history");
    assert_eq!(again.to_string(), judgement.to_string());
}

#[test]
fn a_node_whose_clients_have_a_bad_network_keeps_every_promise() {
    let folder = tempfile::tempdir().expect("a folder");
    let faults = vec!["net-clients".to_owned(), "net-slow".to_owned()];
    let bad = Order { seed: 1, secs: 9.0, every: Some(2.5), clients: 12, faults, ..order(&folder) };
    let judgement = torture(&bad);
    assert!(judgement.is_proof(), "{judgement}");
    assert_eq!(judgement.faults().len(), 2, "every kind of the network: {judgement}");
}

/// A run in which nothing is broken that should be proves nothing, and says so.
#[test]
fn a_run_of_too_few_messages_proves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let few = Order { secs: 1.0, clients: 2, faults: vec!["none".to_owned()], acks_min: 100_000, ..order(&folder) };
    let judgement = torture(&few);
    assert!(judgement.verdict.is_clean() && !judgement.is_proof(), "{judgement}");
}

fn case(bug: &str) -> Case {
    *CASES.iter().find(|case| case.bug == bug).expect("the bug has a case")
}

/// The schedule and the seed of all bugs that one node shows are the same.
#[test]
fn without_a_bug_the_run_that_finds_bugs_is_clean() {
    let folder = tempfile::tempdir().expect("a folder");
    let judgement = torture(&case("double-on-retry").order(&order(&folder), false));
    assert!(judgement.is_proof(), "{judgement}");
}

fn found(bug: &str) {
    let (folder, case) = (tempfile::tempdir().expect("a folder"), case(bug));
    assert_eq!(case.store, Store::Embedded);
    let judgement = torture(&case.order(&order(&folder), true));
    assert!(judgement.verdict.invariants().contains(&case.invariant), "{bug} by {}: {judgement}", case.invariant);
}

macro_rules! found {
    ($($test:ident: $bug:expr;)*) => {$(
        #[test]
        fn $test() {
            found($bug);
        }
    )*};
}

found! {
    ack_before_write_is_found: "ack-before-write";
    double_on_retry_is_found: "double-on-retry";
    delivery_after_leave_is_found: "delivery-after-leave";
    reorder_on_resume_is_found: "reorder-on-resume";
    removed_member_accepted_is_found: "removed-member-accepted";
}
