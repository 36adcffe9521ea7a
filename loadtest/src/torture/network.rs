//! The network of a run: a TCP proxy between all pairs, which harms what it carries as it is told.
//!
//! It has a thread of its own, so that clients that are busy do not slow it. Everything always goes through it: there is
//! no other way for a run without network faults.
//!
//! What a proxy can do is what TCP sees of a network. Bytes that are held were taken, as by a kernel that sends them again
//! and again, and arrive when the link is whole, late, also when their sender has given the connection up. What it cannot
//! do is to lose the packets of a handshake: whoever connects meanwhile has a connection on which nothing comes.
//!
//! - [`rule`]: what a link does to what it carries. [`link`]: a proxy in front of one server.
//! - [`connection`]: both directions of one connection. [`carrier`]: one direction. [`tally`]: what was done, counted.

mod carrier;
mod connection;
pub(super) mod link;
pub(super) mod rule;
pub(super) mod tally;
#[cfg(test)]
mod tests;

use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

use anyhow::Context as _;
use tokio::sync::mpsc;

use link::{Line, Link};

/// Links that wait to be served: a node has three, and there are three nodes at most.
const LINKS_MAX: usize = 16;

/// The network. Dropping it ends all connections.
#[derive(Debug)]
pub(super) struct Network {
    seed: u64,
    made: u64,
    lines: Option<mpsc::Sender<Line>>,
    thread: Option<JoinHandle<()>>,
}

impl Network {
    /// Starts it. `seed` names its choices: jitter, and where connections are cut.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(super) fn start(seed: u64) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (lines, mut new_lines) = mpsc::channel::<Line>(LINKS_MAX);
        let serve = async move {
            while let Some(line) = new_lines.recv().await {
                tokio::spawn(line.serve());
            }
        };
        let thread = std::thread::Builder::new().name("network".to_owned()).spawn(move || runtime.block_on(serve))?;
        Ok(Self { seed, made: 0, lines: Some(lines), thread: Some(thread) })
    }

    /// Puts a proxy in front of a server, which need not run yet. Whole until it is harmed.
    ///
    /// # Errors
    /// When there is no place for it.
    pub(super) fn link(&mut self, server: SocketAddr) -> anyhow::Result<Link> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no port is free for a proxy")?;
        listener.set_nonblocking(true)?;
        let (link, line) = Link::make(listener, server, self.seed, self.made)?;
        self.made += 1;
        let lines = self.lines.as_ref().context("the network has ended")?;
        lines.blocking_send(line).ok().context("the network has ended")?;
        Ok(link)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.lines = None;
        if let Some(thread) = self.thread.take() {
            // A panic was printed by its thread.
            let _ = thread.join();
        }
    }
}
