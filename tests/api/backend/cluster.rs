//! Each server two nodes of a cluster. All tests share its Redis and its keyspace: to make one takes longer than they do.

use std::sync::OnceLock;

use crate::redis::RedisServer;
use crate::{cassandra, janitor};

/// How many nodes a test has.
pub(crate) const NODES: usize = 2;

/// Where Redis or Cassandra stand still for seconds, which they do on a machine with too much to do, sends get `busy`
/// (docs/guarantees.md).
pub(crate) const MAY_BE_BUSY: bool = true;

/// What a node is configured with beside what its test asks for.
pub(crate) fn settings() -> Vec<(String, String)> {
    static REDIS: OnceLock<RedisServer> = OnceLock::new();
    let redis = REDIS.get_or_init(|| {
        let redis = RedisServer::start();
        janitor::remove_afterwards(redis.folder());
        redis
    });
    let settings = [
        ("REDIS__URL", redis.url()),
        ("CASSANDRA__NODES", cassandra::shared().address().to_owned()),
        ("CASSANDRA__KEYSPACE", "api".to_owned()),
        ("CASSANDRA__REPLICATION", "1".to_owned()),
        // So that a node is found under the address that it has.
        ("CLUSTER__NODE", "127.0.0.1".to_owned()),
    ];
    settings.map(|(key, value)| (key.to_owned(), value)).to_vec()
}
