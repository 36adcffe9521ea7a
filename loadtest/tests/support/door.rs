//! A way to a server that somebody can shut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Shut, connections end, and no new one is let through.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    is_shut: Arc<AtomicBool>,
    changed: Arc<Notify>,
}

impl Door {
    /// Before `server`, open, on a thread of its own.
    pub(crate) fn before(server: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (is_shut, changed) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
        let door = Self { address, is_shut: is_shut.clone(), changed: changed.clone() };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((mut client, _)) = listener.accept().await {
                    if is_shut.load(Ordering::Relaxed) {
                        continue;
                    }
                    let changed = changed.clone();
                    tokio::spawn(async move {
                        let mut upstream = TcpStream::connect(server).await.unwrap();
                        tokio::select! {
                            _ = tokio::io::copy_bidirectional(&mut client, &mut upstream) => {}
                            () = changed.notified() => {}
                        }
                    });
                }
            });
        });
        door
    }

    pub(crate) fn shut(&self) {
        self.is_shut.store(true, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    pub(crate) fn open(&self) {
        self.is_shut.store(false, Ordering::Relaxed);
    }
}
