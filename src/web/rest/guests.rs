use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use bobchat_actors::bucket::{Bucket, Rate, Verdict};
use bobchat_proto::error::ErrorCode;
use tokio::time::Instant;

use crate::config::Limits;
use crate::web::address::limited_as;
use crate::web::failure::Failure;

/// Addresses that are remembered; some 100 bytes each. Beyond it, those that may create a full burst again
/// are forgotten, and when there are none, all: a flood from that many addresses is not for this to stop.
const ADDRESSES_MAX: usize = 100_000;

/// How many guests each address may create. Shared by all worker threads.
pub struct GuestLimit {
    rate: Rate,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

impl GuestLimit {
    /// The limit as configured.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact beyond seven digits")]
    pub fn new(limits: &Limits) -> Self {
        let rate = Rate { per_second: limits.guests_per_minute as f32 / 60.0, burst: limits.guests_burst as f32 };
        Self { rate, buckets: Mutex::default() }
    }

    /// Counts one more guest of `address`.
    ///
    /// # Errors
    /// `rate_limited`, with the time to wait.
    pub fn take(&self, address: IpAddr) -> Result<(), Failure> {
        let now = Instant::now();
        // Every change of the map is one call, so a panic elsewhere leaves it whole.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ADDRESSES_MAX {
            buckets.retain(|_, bucket| !bucket.is_full(self.rate, now));
        }
        if buckets.len() >= ADDRESSES_MAX {
            buckets.clear();
        }
        let bucket = buckets.entry(limited_as(address)).or_insert_with(|| Bucket::full(self.rate, now));
        match bucket.take_or_wait(self.rate, 1.0, now) {
            Verdict::Allowed => Ok(()),
            Verdict::Limited { retry_after } => Err(limited().with_retry_after(retry_after).into()),
            Verdict::Flooded => Err(limited().into()),
        }
    }
}

fn limited() -> bobchat_proto::wire::Error {
    ErrorCode::RateLimited.error("too many guests from this address (limits.guests_burst, limits.guests_per_minute)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_burst() {
        let limit = GuestLimit { rate: Rate { per_second: 0.001, burst: 2.0 }, buckets: Mutex::default() };
        let (here, there) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        assert!(limit.take(here).is_ok());
        assert!(limit.take(here).is_ok());
        let refused = limit.take(here).unwrap_err();
        assert_eq!(refused.error().code, "rate_limited");
        assert!(refused.error().retry_after_ms.unwrap() > 900_000);
        assert!(limit.take(there).is_ok());
    }
}
