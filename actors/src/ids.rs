//! Makes identifiers: 64-bit Snowflakes, unique in the deployment, rising with time.
//!
//! From the top: one zero bit, 41 bits of milliseconds since 2026-01-01, 10 bits of worker, 12 bits of
//! count. The time inside the identifier is the fence: a generator issues only times from a stretch that
//! was reserved in the store first, so that neither a restart nor a clock that went back can make an
//! identifier twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::ports::{Clock, Credentials, Unavailable};

/// 2026-01-01T00:00:00Z in milliseconds: 41 bits from here last until 2095.
const START_MILLIS: i64 = 1_767_225_600_000;

const COUNT_BITS: u32 = 12;
const WORKER_BITS: u32 = 10;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// How far ahead identifiers are reserved: what a stop of the store may last before no more can be made.
const RESERVED_AHEAD: Duration = Duration::from_secs(60 * 60);

/// How often the reservation is moved on: a third of it, so that two attempts may fail.
pub const RESERVE_EVERY: Duration = Duration::from_secs(20 * 60);

/// Makes identifiers for all threads of a node.
pub struct IdGenerator {
    clock: Arc<dyn Clock>,
    worker: u64,
    /// The last identifier made.
    last: AtomicU64,
    /// The time, in microseconds since 1970, before which identifiers are reserved.
    reserved_until: AtomicI64,
}

impl IdGenerator {
    /// Reserves a first stretch of identifiers.
    ///
    /// # Errors
    /// [`Unavailable`] when the reservation could not be stored.
    pub async fn open(clock: Arc<dyn Clock>, credentials: &dyn Credentials) -> Result<Self, Unavailable> {
        let until = reservation(&*clock);
        let previous = credentials.reserve_ids(until).await?;
        let first = u64::try_from((previous / 1000).saturating_sub(START_MILLIS)).unwrap_or(0);
        Ok(Self {
            clock,
            worker: 0,
            last: AtomicU64::new(first << (COUNT_BITS + WORKER_BITS)),
            reserved_until: AtomicI64::new(until.max(previous.saturating_add(micros(RESERVED_AHEAD)))),
        })
    }

    /// Moves the reservation on; to be called every [`RESERVE_EVERY`].
    ///
    /// # Errors
    /// [`Unavailable`]: the reservation stays as it was.
    pub async fn reserve(&self, credentials: &dyn Credentials) -> Result<(), Unavailable> {
        let until = reservation(&*self.clock);
        credentials.reserve_ids(until).await?;
        self.reserved_until.fetch_max(until, Ordering::Relaxed);
        Ok(())
    }

    /// Makes an identifier: from 1, below 2^63, greater than every one made here before.
    ///
    /// # Errors
    /// [`Unavailable`] when the reserved time is used up: the store took no reservation for an hour, or
    /// the clock jumped ahead.
    pub fn next(&self) -> Result<u64, Unavailable> {
        let millis = (self.clock.now_micros() / 1000).saturating_sub(START_MILLIS);
        let now = u64::try_from(millis).unwrap_or(0) << (COUNT_BITS + WORKER_BITS);
        let step = |last: u64| Some(successor(last).max(now) | (self.worker << COUNT_BITS));
        let before = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or_default();
        let id = step(before).unwrap_or_default();
        let time = i64::try_from(id >> (COUNT_BITS + WORKER_BITS)).unwrap_or(i64::MAX).saturating_add(START_MILLIS);
        if time.saturating_mul(1000) >= self.reserved_until.load(Ordering::Relaxed) {
            return Err(Unavailable::new("the reserved time for identifiers is used up"));
        }
        Ok(id)
    }
}

/// The next identifier of the same worker: counts up, and goes on to the next millisecond when the count
/// is used up.
fn successor(last: u64) -> u64 {
    if last & COUNT_MASK == COUNT_MASK {
        ((last >> (COUNT_BITS + WORKER_BITS)) + 1) << (COUNT_BITS + WORKER_BITS)
    } else {
        last + 1
    }
}

fn reservation(clock: &dyn Clock) -> i64 {
    clock.now_micros().saturating_add(micros(RESERVED_AHEAD))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
