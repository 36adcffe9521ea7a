//! Places that stay free while what listens there is down.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;

/// The first port. From 32 768 on the system gives them to whoever connects.
const FIRST: u32 = 14_000;

/// How many there are.
const COUNT: u32 = 18_000;

/// A port of 127.0.0.1 that is free now and is given to nobody who connects.
///
/// # Errors
/// When none is free.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Runs at the same time look in different places.
    let begin = std::process::id().wrapping_mul(131) % COUNT;
    let mut ports = (0..COUNT).map(|_| FIRST + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT);
    let address = ports.find_map(|port| {
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).ok()?));
        TcpListener::bind(address).is_ok().then_some(address)
    });
    address.context("no port is free")
}
