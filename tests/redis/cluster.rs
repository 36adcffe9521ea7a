//! A Redis Cluster: three masters, and as many replicas for each as a test needs.

use std::process::Command;

use bobchat::adapters::redis::Servers;

use crate::ports::free_port;
use crate::server::{RedisServer, eventually};

pub(crate) struct RedisCluster {
    pub(crate) servers: Vec<RedisServer>,
}

impl RedisCluster {
    /// Three masters.
    pub(crate) fn start() -> Self {
        Self::with_replicas(0)
    }

    /// Three masters with so many replicas each, one of which takes the place of a master that is lost.
    pub(crate) fn with_replicas(replicas: usize) -> Self {
        let servers: Vec<_> = (0..3 * (1 + replicas))
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
        create.args(["--cluster-replicas", &replicas.to_string()]);
        let output = create.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        Self::wait(&servers);
        Self { servers }
    }

    /// Waits until every node says that all slots are served, and every replica has what its master has.
    pub(crate) fn wait(servers: &[RedisServer]) {
        let known = format!("cluster_known_nodes:{}", servers.len());
        for server in servers {
            eventually("the cluster is whole", || {
                let info = server.cli(&["CLUSTER", "INFO"]);
                let whole = ["cluster_state:ok", "cluster_slots_ok:16384", &known];
                let is_in_step = matches!(server.info("replication", "master_link_status").as_str(), "" | "up");
                (is_in_step && whole.iter().all(|line| info.contains(line))).then_some(())
            });
        }
    }

    pub(crate) fn address(&self) -> Servers {
        Servers::Cluster(self.servers.iter().map(RedisServer::url).collect())
    }
}
