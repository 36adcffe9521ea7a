//! Choices that a seed repeats.

use std::time::Duration;

/// SplitMix64 (Steele, Lea and Flood 2014).
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// A sequence for one client of a run.
    pub(super) const fn new(seed: u64, client: u64) -> Self {
        Self(seed ^ (client + 1).wrapping_mul(0xd134_2543_de82_ef95))
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 when that is 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        // The bias of a remainder does not matter here.
        self.next().checked_rem(bound as u64).and_then(|number| usize::try_from(number).ok()).unwrap_or_default()
    }

    /// Whether something that happens once in `times` happens now.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// A time between two, in milliseconds.
    pub(super) fn millis(&mut self, from: usize, to: usize) -> Duration {
        Duration::from_millis((from + self.below(to.saturating_sub(from))) as u64)
    }
}
