//! Each server a node of a cluster: on one Redis and one keyspace of one Cassandra, which all tests share.

use std::sync::OnceLock;

use crate::cassandra;
use crate::redis::RedisServer;

/// What a server is configured with beside what its test asks for.
pub(crate) fn settings() -> Vec<(String, String)> {
    static REDIS: OnceLock<RedisServer> = OnceLock::new();
    let redis = REDIS.get_or_init(RedisServer::start).url();
    let settings = [
        ("REDIS__URL", redis.as_str()),
        ("CASSANDRA__NODES", cassandra::shared().address()),
        ("CASSANDRA__KEYSPACE", "api"),
        ("CASSANDRA__REPLICATION", "1"),
    ];
    settings.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
}
