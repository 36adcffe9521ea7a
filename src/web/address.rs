//! Who is at the other end of a connection, also behind proxies.

use std::net::{IpAddr, Ipv6Addr};

use crate::config::Network;

/// The address that limits count by: the connection's own, or, where that is a trusted proxy, the last one
/// in `X-Forwarded-For` that is not. What stands left of it anybody could have written.
///
/// `forwarded` are the values of the header, in their order.
#[must_use]
pub fn client<'a>(peer: IpAddr, forwarded: impl Iterator<Item = &'a str>, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    let hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).collect();
    for hop in hops.into_iter().rev() {
        if !is_trusted(client) {
            break;
        }
        // A hop that is no address was written by nobody we trust.
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        client = address.to_canonical();
    }
    client
}

/// What counts as one client: an IPv4 address, or the network of 64 bits that an IPv6 host has for itself.
#[must_use]
pub fn limited_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        client(peer.parse().unwrap(), forwarded.iter().copied(), &trusted).to_string()
    }

    #[test]
    fn a_header_from_a_stranger_is_ignored() {
        assert_eq!(seen("192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(seen("192.0.2.1", &[]), "192.0.2.1");
    }

    #[test]
    fn behind_trusted_proxies_the_last_stranger_counts() {
        assert_eq!(seen("10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1, 203.0.113.9, 10.9.9.9"]), "203.0.113.9", "the left is forged");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1", "203.0.113.9"]), "203.0.113.9", "several headers are one");
        assert_eq!(seen("::ffff:10.0.0.1", &["2001:db8::1"]), "2001:db8::1");
        assert_eq!(seen("10.0.0.1", &["10.0.0.2"]), "10.0.0.2", "nobody but proxies");
        assert_eq!(seen("10.0.0.1", &["203.0.113.9, junk"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn hosts_of_one_ipv6_network_count_as_one() {
        let limited = |text: &str| limited_as(text.parse().unwrap()).to_string();
        assert_eq!(limited("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(limited("192.0.2.1"), "192.0.2.1");
        assert_eq!(limited("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
