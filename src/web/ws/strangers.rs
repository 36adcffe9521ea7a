//! Counts connections that have not signed in, by address: one address must not hold all of them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The connections of strangers, by address; shared by all threads.
#[derive(Debug, Clone)]
pub struct Strangers {
    counts: Arc<Mutex<HashMap<IpAddr, u64>>>,
    max: u64,
}

/// A stranger's place. Dropped when they sign in or leave.
#[derive(Debug)]
pub struct Place {
    strangers: Strangers,
    address: IpAddr,
}

impl Strangers {
    /// At most `max` strangers an address.
    #[must_use]
    pub fn new(max: u64) -> Self {
        Self { counts: Arc::default(), max }
    }

    /// A place for a stranger from `address`; none when all are taken.
    #[must_use]
    pub fn admit(&self, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Place { strangers: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.strangers.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_stranger_leaves_or_signs_in() {
        let strangers = Strangers::new(1);
        let address = IpAddr::from([192, 0, 2, 1]);
        let place = strangers.admit(address);
        assert!(place.is_some());
        assert!(strangers.admit("::ffff:192.0.2.1".parse().unwrap()).is_none(), "the same address over IPv6");
        assert!(strangers.admit(IpAddr::from([192, 0, 2, 2])).is_some(), "another address");
        drop(place);
        assert!(strangers.admit(address).is_some());
        assert!(strangers.counts.lock().unwrap().is_empty(), "nothing is kept of who left");
    }
}
