//! A node in a thread of this process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use bobchat::auth;
use bobchat::config::Layers;
use bobchat::startup;
use bobchat::telemetry::Controls;
use bobchat_actors::Core;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A node that runs, with its data in a folder of its own.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) admin_address: SocketAddr,
    pub(crate) core: Arc<Core>,
    pub(crate) auth: Arc<auth::Service>,
    pub(crate) folder: TempDir,
    running: Running,
}

/// A node that was told to start.
pub(crate) struct Starting {
    folder: TempDir,
    started: Receiver<Started>,
    running: Running,
}

/// A node that was told to end.
pub(crate) struct Ending {
    folder: TempDir,
    thread: JoinHandle<()>,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// What a started node tells the test.
struct Started {
    address: SocketAddr,
    admin_address: SocketAddr,
    core: Arc<Core>,
    auth: Arc<auth::Service>,
}

impl Starting {
    /// Starts a node over what the folder holds.
    pub(crate) fn over(folder: TempDir, config: Layers) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (tell, started) = channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let (node, server) = startup::Node::start(config, Controls::default()).await.unwrap();
                let (core, auth) = (node.core.clone(), node.auth.clone());
                let told = Started { address: node.address, admin_address: node.admin_address, core, auth };
                tell.send(told).unwrap_or_else(|_| panic!("the test is gone"));
                actix_rt::spawn(async move {
                    let _ = stopped.await;
                    node.stop().await;
                });
                server.await.unwrap();
            });
        });
        Self { folder, started, running: Running { stop, thread } }
    }

    /// Waits until it serves.
    pub(crate) fn serving(self) -> Node {
        let Self { folder, started, running } = self;
        let Started { address, admin_address, core, auth } = started.recv().expect("the node starts");
        Node { address, admin_address, core, auth, folder, running }
    }
}

impl Node {
    /// Tells it to end in good order. Nothing of it is held here any more: another may open its store.
    pub(crate) fn end(self) -> Ending {
        // It has ended by itself otherwise.
        let _ = self.running.stop.send(());
        Ending { folder: self.folder, thread: self.running.thread }
    }
}

impl Ending {
    /// Waits until it has ended, and gives its data.
    pub(crate) fn ended(self) -> TempDir {
        let ended = self.thread.join();
        if !std::thread::panicking() {
            ended.unwrap();
        }
        self.folder
    }
}
