//! A server of its own for each test.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use bobchat::auth::{self, install_cryptography};
use bobchat::config::{Config, Overrides, Sources};
use bobchat::startup::Node;
use bobchat_actors::Core;
use bobchat_proto::wire;
use tokio::sync::oneshot;

use crate::backend;
use crate::client::Client;

/// A running server with its data in a folder of its own. Stops when it is dropped.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) admin_address: SocketAddr,
    core: Option<Arc<Core>>,
    auth: Option<Arc<auth::Service>>,
    folder: Option<tempfile::TempDir>,
    settings: Vec<(String, String)>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a started server tells the test.
struct Started {
    address: SocketAddr,
    admin_address: SocketAddr,
    core: Arc<Core>,
    auth: Arc<auth::Service>,
}

impl TestServer {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// A server whose rates are not what a test is about.
    pub(crate) fn busy() -> Self {
        Self::with(&[
            ("LIMITS__SENDS_BURST", "100000"),
            ("LIMITS__FRAMES_BURST", "100000"),
            ("LIMITS__FRAME_BYTES_PER_SECOND", "1GiB"),
            ("LIMITS__REQUESTS_IN_FLIGHT", "1000"),
        ])
    }

    /// A server with settings as in the environment: `("LIMITS__SENDS_BURST", "1000")`.
    pub(crate) fn with(settings: &[(&str, &str)]) -> Self {
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self::over(tempfile::tempdir().unwrap(), settings)
    }

    /// Ends the server in good order and starts another over the same data.
    pub(crate) fn restart(mut self) -> Self {
        self.end();
        let folder = self.folder.take().unwrap();
        Self::over(folder, std::mem::take(&mut self.settings))
    }

    /// Ends the server in good order and keeps its data.
    pub(crate) fn stop(mut self) -> tempfile::TempDir {
        self.end();
        self.folder.take().unwrap()
    }

    fn over(folder: tempfile::TempDir, settings: Vec<(String, String)>) -> Self {
        install_cryptography();
        let config = config(folder.path().to_str().unwrap(), &settings);
        let (stop, stopped) = oneshot::channel();
        let (started, waiting) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let (node, server) = Node::start(config).await.unwrap();
                let (core, auth) = (node.core.clone(), node.auth.clone());
                let tell = Started { address: node.address, admin_address: node.admin_address, core, auth };
                started.send(tell).unwrap_or_else(|_| panic!("the test is gone"));
                actix_rt::spawn(async move {
                    let _ = stopped.await;
                    node.stop().await;
                });
                server.await.unwrap();
            });
        });
        let Started { address, admin_address, core, auth } = waiting.recv().unwrap();
        Self {
            address,
            admin_address,
            core: Some(core),
            auth: Some(auth),
            folder: Some(folder),
            settings,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Signs up somebody new.
    pub(crate) async fn guest(&self, name: &str) -> wire::TokenGrant {
        self.auth.as_ref().unwrap().create_guest(&wire::GuestCreate { name: name.to_owned() }).await.unwrap()
    }

    /// Gives somebody the rights of an administrator.
    pub(crate) async fn grant_admin(&self, handle: &str) {
        assert!(self.auth.as_ref().unwrap().grant_admin(handle).await.unwrap());
    }

    /// Signs up somebody new and connects them.
    pub(crate) async fn person(&self, name: &str) -> Client {
        let grant = self.guest(name).await;
        Client::signed_in(self.address, &grant.access_token).await
    }

    /// The folder of its data.
    pub(crate) fn data(&self) -> &std::path::Path {
        self.folder.as_ref().unwrap().path()
    }

    pub(crate) fn core(&self) -> &Core {
        self.core.as_ref().unwrap()
    }

    fn end(&mut self) {
        // Both hold the store, which the next server opens.
        self.core = None;
        self.auth = None;
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.end();
    }
}

fn config(folder: &str, settings: &[(String, String)]) -> Config {
    let defaults = [("STORE__RESERVE_BYTES", "1MiB"), ("SERVER__DRAIN_TIMEOUT", "5s")];
    let defaults = defaults.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let all = defaults.into_iter().chain(backend::settings()).chain(settings.iter().cloned());
    let environment: HashMap<String, String> = all.map(|(key, value)| (format!("BOBCHAT__{key}"), value)).collect();
    let free = Some("127.0.0.1:0".to_owned());
    let overrides = Overrides { listen: free.clone(), admin_listen: free, data: Some(folder.to_owned()) };
    Config::load(&Sources { file: Some("/dev/null".into()), environment, overrides }).unwrap()
}
