//! The embedded store on real files: its contracts, and what must not happen to it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]

mod contract;
mod group_commit;
mod support;
