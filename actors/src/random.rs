//! Randomness: the system's, or in a simulation what its seed says.
//!
//! Two runs of one seed have to be the same run. So what is drawn, and the order in which maps are walked, must not
//! come from outside there. Both are the build for tests' matter alone: elsewhere this is `getrandom` and nothing else.

/// Fills `bytes` with random ones.
///
/// # Errors
/// The system's, which has no randomness.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    #[cfg(feature = "planted-bugs")]
    if seeded::fill(bytes) {
        return Ok(());
    }
    getrandom::fill(bytes)
}

/// Draws a number.
///
/// # Errors
/// As [`fill`].
pub(crate) fn number() -> Result<u64, getrandom::Error> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// How maps hash that are walked: an order that nobody outside can know.
#[cfg(not(feature = "planted-bugs"))]
pub(crate) type RandomState = foldhash::fast::RandomState;

/// How maps hash that are walked: in a build for tests the same in each run.
#[cfg(feature = "planted-bugs")]
pub(crate) type RandomState = foldhash::fast::FixedState;

#[cfg(feature = "planted-bugs")]
pub use seeded::{SplitMix64, seed};

#[cfg(feature = "planted-bugs")]
mod seeded {
    use std::cell::Cell;

    /// A generator of numbers that look random and follow from a seed (Steele, Lea and Flood, "Fast splittable
    /// pseudorandom number generators", 2014): small, and good enough to draw schedules from.
    #[derive(Debug, Clone, Copy)]
    pub struct SplitMix64(u64);

    impl SplitMix64 {
        /// What follows from `seed`.
        #[must_use]
        pub const fn new(seed: u64) -> Self {
            Self(seed)
        }

        /// Draws a number.
        pub const fn draw(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            word ^ (word >> 31)
        }
    }

    thread_local! {
        static STATE: Cell<Option<SplitMix64>> = const { Cell::new(None) };
    }

    /// From here on this thread draws what follows from `seed`; with `None` what the system gives.
    pub fn seed(seed: Option<u64>) {
        STATE.set(seed.map(SplitMix64::new));
    }

    /// `false` where no seed was given.
    pub(super) fn fill(bytes: &mut [u8]) -> bool {
        let Some(mut state) = STATE.get() else { return false };
        for chunk in bytes.chunks_mut(8) {
            chunk.iter_mut().zip(state.draw().to_le_bytes()).for_each(|(byte, drawn)| *byte = drawn);
        }
        STATE.set(Some(state));
        true
    }
}

#[cfg(all(test, feature = "planted-bugs"))]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_what_is_drawn() {
        let draw = || [number().unwrap(), number().unwrap()];
        seed(Some(7));
        let first = draw();
        seed(Some(7));
        assert_eq!(draw(), first);
        seed(None);
        assert_ne!(draw(), first);
    }
}
