//! A server of its own for each test.

use bobchat::auth::install_cryptography;
use bobchat::config::{Layers, Overrides, Sources};
use bobchat_actors::metrics::Metrics;
use bobchat_proto::wire;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use tempfile::TempDir;

use crate::backend;
use crate::client::Client;
use crate::node::{Ending, Node, Starting};
use crate::turn::Turn;

/// A running server: as many nodes as the back end has, over which the people of a test are spread. Stops when it is
/// dropped.
pub(crate) struct TestServer {
    /// Where its first node is, for what is about one node.
    pub(crate) address: SocketAddr,
    /// Where that node's operator is served.
    pub(crate) admin_address: SocketAddr,
    nodes: Vec<Node>,
    settings: Vec<(String, String)>,
    /// Whose turn it is to sign somebody up, and to be connected to: begun so that people connect to another node
    /// than the one that signed them up.
    signs_up: Turn,
    is_met: Turn,
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
        Self::over((0..backend::NODES).map(|_| tempfile::tempdir().unwrap()).collect(), settings)
    }

    /// Ends all nodes in good order and starts others over the same data.
    pub(crate) fn restart(mut self) -> Self {
        let folders = self.end();
        Self::over(folders, std::mem::take(&mut self.settings))
    }

    /// The same, with further settings as in the environment.
    pub(crate) fn restart_with(mut self, settings: &[(&str, &str)]) -> Self {
        self.settings.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        self.restart()
    }

    /// Ends the server in good order and keeps its first node's data.
    pub(crate) fn stop(mut self) -> TempDir {
        self.end().swap_remove(0)
    }

    fn over(folders: Vec<TempDir>, settings: Vec<(String, String)>) -> Self {
        install_cryptography();
        let start = |folder: TempDir| {
            let config = config(folder.path().to_str().unwrap(), &settings);
            Starting::over(folder, config)
        };
        // All at once, as after a power cut.
        let starting: Vec<_> = folders.into_iter().map(start).collect();
        let nodes: Vec<_> = starting.into_iter().map(Starting::serving).collect();
        let (address, admin_address) = (nodes[0].address, nodes[0].admin_address);
        Self { address, admin_address, nodes, settings, signs_up: Turn::from(1), is_met: Turn::from(0) }
    }

    /// Where whoever comes next comes to: the nodes take turns.
    pub(crate) fn somewhere(&self) -> SocketAddr {
        self.is_met.next(&self.nodes).address
    }

    /// Where all its nodes are.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.address).collect()
    }

    /// Signs up somebody new.
    pub(crate) async fn guest(&self, name: &str) -> wire::TokenGrant {
        let node = self.signs_up.next(&self.nodes);
        node.auth.create_guest(&wire::GuestCreate { name: name.to_owned() }).await.unwrap()
    }

    /// Gives somebody the rights of an administrator.
    pub(crate) async fn grant_admin(&self, handle: &str) {
        assert!(self.signs_up.next(&self.nodes).auth.grant_admin(handle).await.unwrap());
    }

    /// Signs up somebody new and connects them.
    pub(crate) async fn person(&self, name: &str) -> Client {
        let grant = self.guest(name).await;
        Client::signed_in(self.somewhere(), &grant.access_token).await
    }

    /// The folder of its first node's data.
    pub(crate) fn data(&self) -> &Path {
        self.nodes[0].folder.path()
    }

    /// What all nodes count together.
    pub(crate) fn count(&self, figure: impl Fn(&Metrics) -> u64) -> u64 {
        self.nodes.iter().map(|node| figure(&node.core.metrics)).sum()
    }

    fn end(&mut self) -> Vec<TempDir> {
        let ending: Vec<_> = self.nodes.drain(..).map(Node::end).collect();
        ending.into_iter().map(Ending::ended).collect()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.end();
    }
}

fn config(folder: &str, settings: &[(String, String)]) -> Layers {
    let defaults = [("STORE__RESERVE_BYTES", "1MiB"), ("SERVER__DRAIN_TIMEOUT", "5s")];
    let defaults = defaults.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let all = defaults.into_iter().chain(backend::settings()).chain(settings.iter().cloned());
    let environment: HashMap<String, String> = all.map(|(key, value)| (format!("BOBCHAT__{key}"), value)).collect();
    let free = Some("127.0.0.1:0".to_owned());
    let overrides = Overrides { listen: free.clone(), admin_listen: free, data: Some(folder.to_owned()) };
    Layers::load(&Sources { file: Some("/dev/null".into()), environment, overrides }).unwrap()
}
