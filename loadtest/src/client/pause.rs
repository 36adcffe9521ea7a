//! How long somebody waits before they connect again: as people's clients do, and each another time, so that not all come
//! at the same moment.

use std::time::Duration;

/// Whoever is sent away comes back after a random wait of up to so long, as the protocol asks.
const SENT_AWAY_WAIT_MAX: Duration = Duration::from_secs(2);

/// Growing pauses between attempts.
pub(crate) struct Pauses {
    /// The first; each doubles it.
    pub(crate) first: Duration,
    /// Beyond this they do not grow.
    pub(crate) max: Duration,
}

impl Pauses {
    /// The pause after an attempt, with a jitter that `number` decides: a run does the same again.
    pub(crate) fn after(&self, attempt: u32, number: usize) -> Duration {
        let whole = self.first.saturating_mul(1 << attempt.min(10)).min(self.max);
        whole.mul_f64(0.5 + 0.5 * chance(number, attempt as usize))
    }
}

/// The wait of somebody whom a draining server sent away.
pub(crate) fn sent_away(number: usize, visits: usize) -> Duration {
    SENT_AWAY_WAIT_MAX.mul_f64(chance(number, visits))
}

/// From 0 to 1: looks random, and is the same in every run.
fn chance(number: usize, attempt: usize) -> f64 {
    let mixed = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(attempt as u64);
    (mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 54) as f64 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound_and_differ() {
        let pauses = Pauses { first: Duration::from_millis(100), max: Duration::from_secs(5) };
        for (attempt, whole_ms) in [(0, 100), (3, 800), (20, 5_000)] {
            for number in 0..100 {
                let pause = pauses.after(attempt, number).as_millis();
                assert!((whole_ms / 2..=whole_ms).contains(&pause), "{attempt}, {number}: {pause} ms");
            }
        }
        assert_ne!(pauses.after(3, 0), pauses.after(3, 1));
        assert_ne!(sent_away(0, 1), sent_away(1, 1));
        assert!((0..100).all(|number| sent_away(number, 1) <= SENT_AWAY_WAIT_MAX));
    }
}
