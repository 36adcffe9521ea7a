//! Counts connections that have not signed in, in all and by address: one address must not hold all of them, nor many
//! together the server.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::web::address::limited_as;

/// Strangers of all addresses at most. One stays for seconds, so this lets thousands a second come; and as each costs a
/// few kilobytes, those who stay silent hold some tens of megabytes.
const STRANGERS_MAX: u64 = 10_000;

/// The connections of strangers; shared by all threads.
#[derive(Debug, Clone)]
pub struct Strangers {
    counts: Arc<Mutex<Counts>>,
    max: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Counts {
    all: u64,
    by_address: HashMap<IpAddr, u64>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Crowded {
    /// All places of the address are taken.
    #[error("too many connections of this address are not signed in")]
    Address,
    /// All places are.
    #[error("too many connections are not signed in")]
    Server,
}

/// A stranger's place. Dropped when they sign in or leave.
#[derive(Debug)]
pub struct Place {
    strangers: Strangers,
    address: Option<IpAddr>,
}

impl Strangers {
    /// At most `max` strangers an address; what is an address says [`limited_as`].
    #[must_use]
    pub fn new(max: u64) -> Self {
        Self { counts: Arc::default(), max: Arc::new(AtomicU64::new(max)) }
    }

    /// Has another bound hold for whoever comes from now on.
    pub fn set_max(&self, max: u64) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// A place for a stranger from `address`.
    ///
    /// # Errors
    /// All are taken: some are free again within seconds.
    pub fn admit(&self, address: IpAddr) -> Result<Place, Crowded> {
        self.admit_among(Some(limited_as(address)))
    }

    /// A place for a stranger whose address is not known yet: behind a proxy, the request says it.
    ///
    /// # Errors
    /// As [`Strangers::admit`].
    pub fn admit_unknown(&self) -> Result<Place, Crowded> {
        self.admit_among(None)
    }

    fn admit_among(&self, address: Option<IpAddr>) -> Result<Place, Crowded> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = address.map(|address| counts.by_address.get(&address).copied().unwrap_or_default());
        if count.is_some_and(|count| count >= self.max.load(Ordering::Relaxed)) {
            return Err(Crowded::Address);
        }
        if counts.all >= STRANGERS_MAX {
            return Err(Crowded::Server);
        }
        if let (Some(address), Some(count)) = (address, count) {
            counts.by_address.insert(address, count.saturating_add(1));
        }
        counts.all = counts.all.saturating_add(1);
        Ok(Place { strangers: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.strangers.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all = counts.all.saturating_sub(1);
        let Some(address) = self.address else { return };
        if let Some(count) = counts.by_address.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.by_address.remove(&address);
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
        let place = strangers.admit(address).unwrap();
        let over_ipv6 = strangers.admit("::ffff:192.0.2.1".parse().unwrap());
        assert_eq!(over_ipv6.unwrap_err(), Crowded::Address, "the same address over IPv6");
        assert!(strangers.admit(IpAddr::from([192, 0, 2, 2])).is_ok(), "another address");
        drop(place);
        assert!(strangers.admit(address).is_ok());
        assert!(strangers.counts.lock().unwrap().by_address.is_empty(), "nothing is kept of who left");
        strangers.clone().set_max(2);
        let _places = (strangers.admit(address).unwrap(), strangers.admit(address).unwrap());
        strangers.set_max(1);
        assert_eq!(strangers.admit(address).unwrap_err(), Crowded::Address, "another bound for all threads");
    }

    #[test]
    fn a_host_with_many_addresses_is_one_and_many_hosts_are_bounded_together() {
        let strangers = Strangers::new(1);
        let _place = strangers.admit("2001:db8::1".parse().unwrap()).unwrap();
        let neighbour = strangers.admit("2001:db8::2".parse().unwrap());
        assert_eq!(neighbour.unwrap_err(), Crowded::Address, "the same network of 64 bits");
        let network = |number: u64| IpAddr::from((0x2001_0db8_0001 << 80 | u128::from(number) << 64).to_be_bytes());
        let places: Vec<_> = (1..STRANGERS_MAX).map(|number| strangers.admit(network(number)).unwrap()).collect();
        assert_eq!(strangers.admit(network(0)).unwrap_err(), Crowded::Server, "as many as there may be");
        assert_eq!(strangers.admit_unknown().unwrap_err(), Crowded::Server, "also without an address");
        drop(places);
        assert!(strangers.admit(network(0)).is_ok());
    }

    #[test]
    fn strangers_behind_a_proxy_do_not_crowd_out_one_another() {
        let strangers = Strangers::new(1);
        let places = [strangers.admit_unknown().unwrap(), strangers.admit_unknown().unwrap()];
        assert_eq!(strangers.counts.lock().unwrap().all, 2);
        drop(places);
        assert_eq!(strangers.counts.lock().unwrap().all, 0);
    }
}
