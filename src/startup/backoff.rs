//! How long to wait before the next attempt, and when to say again that one waits.

use std::time::{Duration, Instant};

/// The first wait: a service that is just being restarted is there again.
const FIRST: Duration = Duration::from_millis(250);

/// The longest wait: a node shall come up soon after its services did.
const LONGEST: Duration = Duration::from_secs(5);

/// How long a cause is not told again, at first; then twice as long each time.
const QUIET_FIRST: Duration = Duration::from_secs(30);

/// How long it is not told again at most.
const QUIET_LONGEST: Duration = Duration::from_secs(15 * 60);

/// Causes that are remembered; a service that fails in more ways than these says them again.
const CAUSES_MAX: usize = 16;

/// Waits between attempts: each up to twice as long as the one before, spread by chance, so that nodes that wait for
/// the same service do not come back to it together.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// The next wait; `chance` is from 0 to 1.
    pub(super) fn wait(&mut self, chance: f64) -> Duration {
        let wait = self.next.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0);
        self.next = self.next.saturating_mul(2).min(LONGEST);
        wait
    }
}

/// What was told to the operator already.
#[derive(Debug, Default)]
pub(super) struct Told {
    causes: Vec<Cause>,
}

#[derive(Debug)]
struct Cause {
    text: String,
    again_at: Instant,
    quiet: Duration,
}

impl Told {
    /// Whether nothing was told.
    pub(super) fn is_empty(&self) -> bool {
        self.causes.is_empty()
    }

    /// Whether to tell of a cause now: when it is new, and at growing intervals for as long as it stays.
    pub(super) fn is_due(&mut self, text: &str, now: Instant) -> bool {
        if let Some(known) = self.causes.iter_mut().find(|cause| cause.text == text) {
            let is_due = now >= known.again_at;
            if is_due {
                known.quiet = known.quiet.saturating_mul(2).min(QUIET_LONGEST);
                known.again_at = now + known.quiet;
            }
            return is_due;
        }
        if self.causes.len() >= CAUSES_MAX {
            self.causes.remove(0);
        }
        self.causes.push(Cause { text: text.to_owned(), again_at: now + QUIET_FIRST, quiet: QUIET_FIRST });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_are_spread() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..7).map(|_| backoff.wait(1.0).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(backoff.wait(0.0), LONGEST / 2);
    }

    #[test]
    fn a_cause_is_told_once_and_then_less_and_less_often() {
        let (mut told, begin) = (Told::default(), Instant::now());
        let due = (0..3600_u64).filter(|second| told.is_due("refused", begin + Duration::from_secs(*second)));
        assert_eq!(due.collect::<Vec<_>>(), [0, 30, 90, 210, 450, 930, 1830, 2730]);
        assert!(told.is_due("no answer", begin), "another cause");
        assert!(!told.is_due("refused", begin), "the first is still known");
    }

    #[test]
    fn what_is_remembered_of_causes_is_bounded() {
        let (mut told, now) = (Told::default(), Instant::now());
        assert!((0..100).all(|number| told.is_due(&number.to_string(), now)));
        assert_eq!(told.causes.len(), CAUSES_MAX);
    }
}
