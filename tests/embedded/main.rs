//! The embedded store on real files: its contracts, and what must not happen to it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod backup;
mod child;
mod contract;
mod fail_stop;
mod full_disk;
mod group_commit;
mod journal;
mod journal_model;
mod kill;
mod open;
mod support;
mod sweep;
mod trace;
