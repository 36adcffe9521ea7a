//! Seeds that have to be clean with every commit, and bugs that have to be found in them.
#![expect(clippy::panic, reason = "helpers of tests are not covered by the exceptions for tests")]

use std::sync::atomic::{AtomicU64, Ordering};

use bobchat_actors::plant::Bug;
use bobchat_simulation::run::run;
use bobchat_simulation::schedule::{Schedule, Site};
use bobchat_simulation::search::{Regression, regressions, try_seeds};
use bobchat_simulation::world::Story;

/// Seeds of each commit.
const SEEDS_CLUSTER: u64 = 140;
const SEEDS_ALONE: u64 = 60;

/// Seeds within which a bug has to be found.
const SEEDS_PLANTED: u64 = 200;

/// All are clean; gives how often a live log was full, and how many holes were filled.
fn all_clean(site: Site, seeds: u64) -> (u64, u64) {
    let (full, holes_filled) = (AtomicU64::new(0), AtomicU64::new(0));
    let failures = try_seeds(site, 1..seeds + 1, None, |outcome| {
        full.fetch_add(outcome.full, Ordering::Relaxed);
        holes_filled.fetch_add(outcome.holes_filled, Ordering::Relaxed);
        !outcome.broken.is_empty()
    });
    if let Some(failure) = failures.first() {
        panic!("{}", failure.explain(None));
    }
    (full.into_inner(), holes_filled.into_inner())
}

#[test]
fn no_seed_of_a_cluster_breaks_a_promise() {
    let (full, holes_filled) = all_clean(Site::Cluster, SEEDS_CLUSTER);
    assert!(full > 0, "no live log was ever full");
    assert!(holes_filled > SEEDS_CLUSTER, "{holes_filled} holes were filled");
}

#[test]
fn no_seed_of_a_node_that_is_alone_breaks_a_promise() {
    all_clean(Site::Alone, SEEDS_ALONE);
}

#[test]
fn runs_that_failed_once_are_clean_and_still_find_the_bug_that_they_are_kept_for() {
    for Regression { schedule, planted } in regressions().unwrap() {
        let outcome = run(&schedule, None, Story::Silent);
        assert!(outcome.broken.is_empty(), "{schedule}: {:?}", outcome.broken);
        if planted.is_some() {
            let outcome = run(&schedule, planted, Story::Silent);
            assert!(!outcome.broken.is_empty(), "{planted:?} is not found any more: {schedule}");
        }
    }
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for (site, seed) in (1..4).flat_map(|seed| Site::ALL.map(|site| (site, seed))) {
        let schedule = Schedule::of(site, seed);
        let first = run(&schedule, None, Story::Silent);
        assert!(first.acknowledged > 0 && first.delivered > 0, "{first:?}");
        assert_eq!(run(&schedule, None, Story::Silent), first, "{} seed {seed}", site.name());
    }
}

/// The first seed that finds the bug, by the invariant that names it; without the bug it is clean.
fn found(bug: Bug, site: Site, invariant: &str) {
    let failures = try_seeds(site, 1..SEEDS_PLANTED + 1, Some(bug), |outcome| outcome.breaks(invariant));
    let found = failures.iter().find(|failure| failure.outcome.breaks(invariant));
    let found =
        found.unwrap_or_else(|| panic!("{bug:?} is not found in {SEEDS_PLANTED} seeds by {invariant}: {failures:?}"));
    let whole = run(&Schedule::of(site, found.seed), None, Story::Silent);
    assert!(whole.broken.is_empty(), "without the bug seed {} is clean: {:?}", found.seed, whole.broken);
}

macro_rules! found {
    ($($test:ident: $bug:ident, $site:ident, $invariant:expr;)*) => {$(
        #[test]
        fn $test() {
            found(Bug::$bug, Site::$site, $invariant);
        }
    )*};
}

found! {
    ack_before_write_is_found: AckBeforeWrite, Alone, "I1 durable ack";
    ack_before_fsync_is_found: AckBeforeFsync, Alone, "I1 durable ack";
    double_on_retry_is_found: DoubleOnRetry, Cluster, "I2 idempotent";
    no_gap_check_is_found: NoGapCheck, Cluster, "I4 order";
    delivery_after_leave_is_found: DeliveryAfterLeave, Cluster, "I10 removal";
    reorder_on_resume_is_found: ReorderOnResume, Cluster, "I4 order";
    lost_on_epoch_change_is_found: LostOnEpochChange, Cluster, "I1 durable ack";
    trim_before_archive_is_found: TrimBeforeArchive, Cluster, "I1 durable ack";
    removed_member_accepted_is_found: RemovedMemberAccepted, Cluster, "I10 removal";
}
