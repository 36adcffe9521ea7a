//! Token buckets: how often something may happen, with a burst. They read the monotonic clock, so a step
//! of the time of day neither opens nor shuts them.

// Reads what strangers send: a sum that does not fit has to be decided about.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// A [`Rate`] that may change while buckets go by it. Both of its numbers stand in one word: nobody sees half of a
/// change, and reading it is one load.
#[derive(Debug)]
pub struct AtomicRate(AtomicU64);

impl AtomicRate {
    /// Holds a rate.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self(AtomicU64::new(packed(rate)))
    }

    /// The rate that holds now.
    pub fn get(&self) -> Rate {
        let [a, b, c, d, burst @ ..] = self.0.load(Ordering::Relaxed).to_be_bytes();
        Rate { per_second: f32::from_be_bytes([a, b, c, d]), burst: f32::from_be_bytes(burst) }
    }

    /// Has another one hold from now on.
    pub fn set(&self, rate: Rate) {
        self.0.store(packed(rate), Ordering::Relaxed);
    }
}

fn packed(rate: Rate) -> u64 {
    u64::from(rate.per_second.to_bits()) << u32::BITS | u64::from(rate.burst.to_bits())
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

/// A token bucket. It starts full. It does not know its rate, which may be another one each time.
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
        // Who is in debt by a larger burst, and waits now as they were told, shall not be taken for a flood.
        let tokens = self.tokens.max(-rate.burst);
        self.tokens = (tokens + elapsed * rate.per_second).min(rate.burst);
        self.filled_at = now;
    }
}

/// Keys that are remembered; some 100 bytes each. Beyond it, those whose bucket is full again are forgotten, and when there
/// are none, all: a flood of that many is not for a bucket to stop.
const KEYS_MAX: usize = 100_000;

/// A bucket for each user, address or the like. Shared by all threads.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: AtomicRate,
    by_key: Mutex<HashMap<K, Bucket>>,
}

impl<K: Eq + Hash> Buckets<K> {
    /// Buckets that are all full.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate: AtomicRate::new(rate), by_key: Mutex::default() }
    }

    /// Has another rate hold from now on. What was taken stays taken.
    pub fn set_rate(&self, rate: Rate) {
        self.rate.set(rate);
    }

    /// Takes a token of `key` if there is one, and nothing otherwise.
    ///
    /// # Errors
    /// The time until there will be one.
    pub fn take_or_wait(&self, key: K) -> Result<(), Duration> {
        self.take_some_or_wait(key, 1.0)
    }

    /// The same of `cost` tokens.
    ///
    /// # Errors
    /// The time until there will be as many.
    pub fn take_some_or_wait(&self, key: K, cost: f32) -> Result<(), Duration> {
        let (now, rate) = (Instant::now(), self.rate.get());
        // Every change of the map is one call, so a panic elsewhere leaves it whole.
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        if by_key.len() >= KEYS_MAX {
            by_key.retain(|_, bucket| !bucket.is_full(rate, now));
        }
        if by_key.len() >= KEYS_MAX {
            by_key.clear();
        }
        let bucket = by_key.entry(key).or_insert_with(|| Bucket::full(rate, now));
        match bucket.take_or_wait(rate, cost, now) {
            Verdict::Allowed => Ok(()),
            Verdict::Limited { retry_after } => Err(retry_after),
            Verdict::Flooded => Err(Duration::from_secs_f32(rate.burst / rate.per_second)),
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

    #[test]
    fn a_rate_that_changes_holds_for_who_is_counted_already() {
        let buckets = Buckets::new(Rate { per_second: 0.001, burst: 1.0 });
        assert!(buckets.take_or_wait("here").is_ok());
        assert!(buckets.take_or_wait("here").is_err());
        buckets.set_rate(Rate { per_second: 1e9, burst: 3.0 });
        std::thread::sleep(Duration::from_millis(1));
        assert!((0..3).all(|_| buckets.take_or_wait("here").is_ok()));
        let rate = Rate { per_second: 0.25, burst: 1e9 };
        buckets.set_rate(rate);
        assert_eq!(buckets.rate.get(), rate, "both numbers are kept");
    }

    #[test]
    fn who_owes_more_than_a_new_burst_is_no_flood_while_they_wait_as_told() {
        let start = Instant::now();
        let mut bucket = Bucket::full(Rate { per_second: 50.0, burst: 100.0 }, start);
        let wide = Rate { per_second: 50.0, burst: 100.0 };
        let last = (0..150).map(|_| bucket.take(wide, 1.0, start)).last();
        let Some(Verdict::Limited { retry_after }) = last else { panic!("it owes 50: {last:?}") };
        let told = bucket.take(RATE, 1.0, start + retry_after);
        assert!(matches!(told, Verdict::Limited { .. }), "{told:?}");
    }
}
