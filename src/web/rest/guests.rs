use std::net::IpAddr;

use bobchat_actors::bucket::{Buckets, Rate};
use bobchat_proto::error::ErrorCode;

use crate::config::Limits;
use crate::web::address::limited_as;
use crate::web::failure::Failure;

/// How many guests each address may create. Shared by all worker threads.
pub struct GuestLimit(Buckets<IpAddr>);

impl GuestLimit {
    /// The limit as configured.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self(Buckets::new(rate(limits)))
    }

    /// Has another limit hold from now on.
    pub fn set(&self, limits: &Limits) {
        self.0.set_rate(rate(limits));
    }

    /// Counts one more guest of `address`.
    ///
    /// # Errors
    /// `rate_limited`, with the time to wait.
    pub fn take(&self, address: IpAddr) -> Result<(), Failure> {
        self.0.take_or_wait(limited_as(address)).map_err(|retry_after| {
            let text = "too many guests from this address (limits.guests_burst, limits.guests_per_minute)";
            ErrorCode::RateLimited.error(text).with_retry_after(retry_after).into()
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate need not be exact beyond seven digits")]
fn rate(limits: &Limits) -> Rate {
    Rate { per_second: limits.guests_per_minute as f32 / 60.0, burst: limits.guests_burst as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_burst() {
        let limit = GuestLimit(Buckets::new(Rate { per_second: 0.001, burst: 2.0 }));
        let (here, there) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        assert!(limit.take(here).is_ok());
        assert!(limit.take(here).is_ok());
        let refused = limit.take(here).unwrap_err();
        assert_eq!(refused.error().code, "rate_limited");
        assert!(refused.error().retry_after_ms.unwrap() > 900_000);
        assert!(limit.take(there).is_ok());
    }
}
