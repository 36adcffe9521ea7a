//! The randomness of a run: its seed, and nothing else.

use std::time::Duration;

use bobchat_actors::random::SplitMix64;

/// What one part of a run draws.
#[derive(Debug, Clone)]
pub struct Random(SplitMix64);

impl Random {
    /// Parts that have different streams do not disturb each other.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        let start = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03);
        let mut numbers = SplitMix64::new(start);
        // The first follows from the start alone, which is alike for streams of one seed.
        numbers.draw();
        Self(numbers)
    }

    /// Draws a number.
    pub fn draw(&mut self) -> u64 {
        self.0.draw()
    }

    /// Draws a number below `limit`; 0 where that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.draw() % (limit.max(1) as u64)).unwrap_or(0)
    }

    /// `true` once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Draws a time from `least` up to `most` milliseconds.
    pub fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.draw() % (most - least + 1))
    }
}
