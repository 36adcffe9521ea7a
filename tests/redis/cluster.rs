//! A Redis Cluster of three masters.

use std::process::Command;

use bobchat::adapters::redis::Servers;

use crate::ports::free_port;
use crate::server::{RedisServer, eventually};

pub(crate) struct RedisCluster {
    pub(crate) servers: Vec<RedisServer>,
}

impl RedisCluster {
    pub(crate) fn start() -> Self {
        let servers: Vec<_> = (0..3)
            .map(|_| {
                let bus = free_port().to_string();
                let timeout = "5000";
                RedisServer::with(&[
                    "--cluster-enabled",
                    "yes",
                    "--cluster-port",
                    &bus,
                    "--cluster-node-timeout",
                    timeout,
                ])
            })
            .collect();
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(servers.iter().map(RedisServer::address)).arg("--cluster-yes");
        let output = create.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        Self::wait(&servers);
        Self { servers }
    }

    /// Waits until every node says that all slots are served.
    pub(crate) fn wait(servers: &[RedisServer]) {
        for server in servers {
            eventually("the cluster is whole", || {
                let info = server.cli(&["CLUSTER", "INFO"]);
                let whole = ["cluster_state:ok", "cluster_slots_ok:16384", "cluster_known_nodes:3"];
                whole.iter().all(|line| info.contains(line)).then_some(())
            });
        }
    }

    pub(crate) fn address(&self) -> Servers {
        Servers::Cluster(self.servers.iter().map(RedisServer::url).collect())
    }
}
