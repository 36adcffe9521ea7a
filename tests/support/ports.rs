//! Ports that are free and stay so: the system gives them to no outgoing connection, and no other process of tests
//! takes them, also while what listens there is down.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// The first of them. From 32 768 on they are given to whoever connects, or listens on port 0.
const FIRST: u32 = 12_000;

/// How many there are.
const COUNT: u32 = 20_000;

/// A port of 127.0.0.1 for this process, until it ends.
pub(crate) fn free_port() -> u16 {
    free_port_at(&["127.0.0.1"])
}

/// A port of all these addresses for this process, until it ends.
pub(crate) fn free_port_at(addresses: &[&str]) -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes that run at the same time look in different places.
    let begin = std::process::id() % 100 * (COUNT / 100);
    let mut ports = (0..COUNT).map(|_| FIRST + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT);
    let port = ports.find_map(|port| {
        let port = u16::try_from(port).ok()?;
        let is_free = || addresses.iter().all(|address| TcpListener::bind((*address, port)).is_ok());
        (reserve(port) && is_free()).then_some(port)
    });
    port.expect("a port is free")
}

/// Takes a name that no two processes can have. The system gives it back when this one has ended.
fn reserve(port: u16) -> bool {
    static RESERVED: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    let name = SocketAddr::from_abstract_name(format!("bobchat tests, port {port}")).expect("a short name");
    let Ok(taken) = UnixListener::bind_addr(&name) else { return false };
    RESERVED.lock().expect("nobody panics with it").push(taken);
    true
}
