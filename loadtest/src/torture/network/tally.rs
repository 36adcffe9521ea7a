//! What a link did to what it carried: the proof that a fault bit.

use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counted while the link goes on.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) held_bytes: AtomicU64,
    pub(super) delayed: AtomicU64,
    pub(super) resets: AtomicU64,
    pub(super) cuts: AtomicU64,
}

impl Counts {
    pub(super) fn tally(&self) -> Tally {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Tally {
            held_bytes: read(&self.held_bytes),
            delayed: read(&self.delayed),
            resets: read(&self.resets),
            cuts: read(&self.cuts),
        }
    }
}

/// Adds to a count.
pub(super) fn add(count: &AtomicU64, more: usize) {
    count.fetch_add(more as u64, Ordering::Relaxed);
}

/// What was counted until one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Tally {
    /// Bytes that came while their direction was held.
    pub(in super::super) held_bytes: u64,
    /// Pieces that were passed on later than they came, as a pace wants it.
    pub(in super::super) delayed: u64,
    /// Connections that were reset.
    pub(in super::super) resets: u64,
    /// Connections that were cut in the middle of what they carried.
    pub(in super::super) cuts: u64,
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            held_bytes: self.held_bytes + other.held_bytes,
            delayed: self.delayed + other.delayed,
            resets: self.resets + other.resets,
            cuts: self.cuts + other.cuts,
        }
    }
}

impl Sub for Tally {
    type Output = Self;

    /// What was counted since an earlier moment.
    fn sub(self, earlier: Self) -> Self {
        Self {
            held_bytes: self.held_bytes.saturating_sub(earlier.held_bytes),
            delayed: self.delayed.saturating_sub(earlier.delayed),
            resets: self.resets.saturating_sub(earlier.resets),
            cuts: self.cuts.saturating_sub(earlier.cuts),
        }
    }
}
