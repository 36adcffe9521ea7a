//! Token buckets: how often something may happen, with a burst. They read the monotonic clock, so a step
//! of the time of day neither opens nor shuts them.

// Reads what strangers send: a sum that does not fit has to be decided about.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How fast a bucket fills and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Tokens a second.
    pub per_second: f32,
    /// Tokens that a full bucket holds.
    pub burst: f32,
}

/// What a bucket says to somebody who takes from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There was enough.
    Allowed,
    /// There was not; nothing was taken on credit beyond one more burst.
    Limited {
        /// When there will be enough.
        retry_after: Duration,
    },
    /// Whoever takes does not heed the limit: a whole burst was asked for on top of an empty bucket.
    Flooded,
}

/// A token bucket. It starts full.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    tokens: f32,
    filled_at: Instant,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn full(rate: Rate, now: Instant) -> Self {
        Self { tokens: rate.burst, filled_at: now }
    }

    /// Takes `cost` tokens. A refused taker goes into debt, at most by one burst, so that whoever goes on
    /// without waiting ends at [`Verdict::Flooded`].
    pub fn take(&mut self, rate: Rate, cost: f32, now: Instant) -> Verdict {
        self.fill(rate, now);
        self.tokens -= cost;
        if self.tokens >= 0.0 {
            return Verdict::Allowed;
        }
        if self.tokens < -rate.burst {
            self.tokens = -rate.burst;
            return Verdict::Flooded;
        }
        Verdict::Limited { retry_after: Duration::from_secs_f32(-self.tokens / rate.per_second) }
    }

    /// Takes `cost` tokens if they are there, and nothing otherwise: for limits that only delay.
    pub fn take_or_wait(&mut self, rate: Rate, cost: f32, now: Instant) -> Verdict {
        self.fill(rate, now);
        if self.tokens >= cost {
            self.tokens -= cost;
            return Verdict::Allowed;
        }
        Verdict::Limited { retry_after: Duration::from_secs_f32((cost - self.tokens) / rate.per_second) }
    }

    /// Whether the bucket is full, and so says nothing that a new one would not.
    pub fn is_full(&mut self, rate: Rate, now: Instant) -> bool {
        self.fill(rate, now);
        self.tokens >= rate.burst
    }

    fn fill(&mut self, rate: Rate, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled_at).as_secs_f32();
        self.tokens = (self.tokens + elapsed * rate.per_second).min(rate.burst);
        self.filled_at = now;
    }
}

/// Keys that are remembered; some 100 bytes each. Beyond it, those whose bucket is full again are forgotten, and when there
/// are none, all: a flood of that many is not for a bucket to stop.
const KEYS_MAX: usize = 100_000;

/// A bucket for each user, address or the like. Shared by all threads.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    by_key: Mutex<HashMap<K, Bucket>>,
}

impl<K: Eq + Hash> Buckets<K> {
    /// Buckets that are all full.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, by_key: Mutex::default() }
    }

    /// Takes a token of `key` if there is one, and nothing otherwise.
    ///
    /// # Errors
    /// The time until there will be one.
    pub fn take_or_wait(&self, key: K) -> Result<(), Duration> {
        let now = Instant::now();
        // Every change of the map is one call, so a panic elsewhere leaves it whole.
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        if by_key.len() >= KEYS_MAX {
            by_key.retain(|_, bucket| !bucket.is_full(self.rate, now));
        }
        if by_key.len() >= KEYS_MAX {
            by_key.clear();
        }
        let bucket = by_key.entry(key).or_insert_with(|| Bucket::full(self.rate, now));
        match bucket.take_or_wait(self.rate, 1.0, now) {
            Verdict::Allowed => Ok(()),
            Verdict::Limited { retry_after } => Err(retry_after),
            Verdict::Flooded => Err(Duration::from_secs_f32(self.rate.burst / self.rate.per_second)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_a_bucket_of_its_own() {
        let buckets = Buckets::new(Rate { per_second: 0.001, burst: 2.0 });
        assert!(buckets.take_or_wait("here").is_ok());
        assert!(buckets.take_or_wait("here").is_ok());
        assert!(buckets.take_or_wait("here").unwrap_err() > Duration::from_secs(900));
        assert!(buckets.take_or_wait("there").is_ok());
    }

    const RATE: Rate = Rate { per_second: 5.0, burst: 10.0 };

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let start = Instant::now();
        let mut bucket = Bucket::full(RATE, start);
        for _ in 0..10 {
            assert_eq!(bucket.take_or_wait(RATE, 1.0, start), Verdict::Allowed);
        }
        let Verdict::Limited { retry_after } = bucket.take_or_wait(RATE, 1.0, start) else { panic!("it is empty") };
        assert_eq!(retry_after.as_millis(), 200, "a fifth of a second makes a token");
        assert_eq!(bucket.take_or_wait(RATE, 1.0, start + Duration::from_millis(201)), Verdict::Allowed);
    }

    #[test]
    fn who_does_not_heed_the_limit_is_told_apart() {
        let start = Instant::now();
        let mut bucket = Bucket::full(RATE, start);
        let verdicts: Vec<Verdict> = (0..21).map(|_| bucket.take(RATE, 1.0, start)).collect();
        assert!(verdicts[..10].iter().all(|verdict| *verdict == Verdict::Allowed));
        assert!(verdicts[10..20].iter().all(|verdict| matches!(verdict, Verdict::Limited { .. })));
        assert_eq!(verdicts[20], Verdict::Flooded);
    }
}
