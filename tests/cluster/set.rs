//! Three nodes and the servers that they stand on.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::node::Node;
use crate::run::PATIENCE;

/// How many nodes a set has.
pub(crate) const NODES: usize = 3;

/// Nodes, and what they keep on disk. Dropping it ends all of them.
pub(crate) struct Set {
    pub(crate) nodes: Vec<Node>,
    folder: TempDir,
}

impl Set {
    /// Nodes on servers at these places, with more settings. All are ready.
    pub(crate) fn with(redis: &str, cassandra: &str, settings: &[(&str, &str)]) -> Self {
        Self::over(tempfile::tempdir().unwrap(), redis, cassandra, settings)
    }

    /// The same, in a folder that may hold a configuration for all nodes, config.toml.
    pub(crate) fn over(folder: TempDir, redis: &str, cassandra: &str, settings: &[(&str, &str)]) -> Self {
        let keyspace = new_keyspace();
        let common = [
            ("REDIS__URL", redis),
            ("CASSANDRA__NODES", cassandra),
            ("CASSANDRA__KEYSPACE", &keyspace),
            ("CASSANDRA__REPLICATION", "1"),
            ("LIMITS__ROOM_IDLE", "500ms"),
        ];
        let settings: Vec<(String, String)> =
            common.iter().chain(settings).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut nodes: Vec<_> = (0..NODES)
            .map(|number| {
                let name = format!("node-{number}");
                let mut settings = settings.clone();
                settings.push(("CLUSTER__NODE".to_owned(), name.clone()));
                Node::spawn(folder.path(), &name, &settings)
            })
            .collect();
        nodes.iter_mut().for_each(Node::wait_until_ready);
        Self { nodes, folder }
    }

    /// Where its nodes keep their data and what they said.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.address).collect()
    }

    /// Waits until each node is answered by all, and by nobody else: one that was killed and started again is known
    /// twice until the lease of its first life ends.
    pub(crate) fn wait_until_all_know_each_other(&self) {
        let begin = Instant::now();
        while !self.nodes.iter().all(|node| node.is_answered_by(NODES)) {
            assert!(begin.elapsed() < PATIENCE, "nodes do not know each other");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Rooms in memory, over all nodes.
    pub(crate) fn rooms_in_memory(&self) -> u64 {
        self.nodes.iter().map(|node| node.metric("bobchat_rooms_active")).sum()
    }

    /// Waits until so many rooms are in memory, over all nodes, or fewer.
    pub(crate) fn wait_until_rooms(&self, count: u64) {
        let begin = Instant::now();
        while self.rooms_in_memory() > count {
            assert!(begin.elapsed() < PATIENCE, "more than {count} rooms stay in memory");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Signs up a guest at a node; gives the token.
pub(crate) fn sign_up(node: &Node, name: &str) -> String {
    let url = format!("http://{}/api/v1/guests", node.address);
    let mut answer = ureq::post(&url).send_json(serde_json::json!({ "name": name })).unwrap();
    let grant: serde_json::Value = answer.body_mut().read_json().unwrap();
    grant["access_token"].as_str().unwrap().to_owned()
}

/// A name that no other set of this run has.
pub(crate) fn new_keyspace() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("cluster_{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}
