//! Nodes, and the Redis that they share: a row has them for itself.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::super::child::Bobchat;
use super::Bench;
use super::redis::Redis;
use crate::say::say;

/// How long everything that was said may take to be stored.
const ARCHIVED_WITHIN: Duration = Duration::from_secs(300);

/// How old a log has to be until no first send has to be looked up in Cassandra: two minutes that clocks may differ.
const LOG_AGE: Duration = Duration::from_secs(125);

/// Waits until logs that were made by then are as those of rooms mostly are. Younger ones cost a read a message, which
/// would be measured instead.
pub(super) async fn wait_until_logs_are_old(made: Instant) {
    let young = LOG_AGE.saturating_sub(made.elapsed());
    if !young.is_zero() {
        say(&format!("{:.0} s until sends need not be looked up in Cassandra any more", young.as_secs_f64()));
        tokio::time::sleep(young).await;
    }
}

/// Nodes and their Redis, and a keyspace of their own. Dropping it ends them, the nodes first.
pub(super) struct Site {
    pub(super) nodes: Vec<Bobchat>,
    pub(super) redis: Redis,
    _data: tempfile::TempDir,
}

impl Site {
    /// Starts `count` nodes with more settings. All are ready.
    ///
    /// # Errors
    /// When one does not become ready.
    pub(super) fn start(bench: &mut Bench, count: usize, settings: &[(&'static str, &str)]) -> anyhow::Result<Self> {
        let (redis, data) = (Redis::start()?, tempfile::tempdir()?);
        let mut common = vec![
            ("REDIS__URL", redis.url()),
            ("CASSANDRA__NODES", bench.cassandra.address().to_string()),
            ("CASSANDRA__KEYSPACE", bench.new_keyspace()),
            ("CASSANDRA__REPLICATION", "1".to_owned()),
            // Rows that last longer than a token usually does.
            ("AUTH__ACCESS_TOKEN_LIFETIME", "1d".to_owned()),
        ];
        common.extend(settings.iter().map(|(key, value)| (*key, (*value).to_owned())));
        let start = |number: usize| {
            let mut settings = common.clone();
            settings.push(("CLUSTER__NODE", format!("node-{number}")));
            bench.installation.start_node(&data.path().join(format!("node-{number}")), &settings)
        };
        let nodes = (0..count).map(start).collect::<anyhow::Result<_>>()?;
        Ok(Self { nodes, redis, _data: data })
    }

    /// One of the nodes.
    ///
    /// # Errors
    /// When there are not so many.
    pub(super) fn node(&self, number: usize) -> anyhow::Result<&Bobchat> {
        self.nodes.get(number).with_context(|| format!("there is no node {number}"))
    }

    /// Events that were appended and are not stored yet, over all nodes.
    ///
    /// # Errors
    /// When a node does not say.
    pub(super) fn unarchived(&self) -> anyhow::Result<f64> {
        let counts = self.nodes.iter().map(|node| {
            let metrics = node.metrics()?;
            let appended = metrics.sum_where("bobchat_redis_events_total", "outcome=\"appended\"");
            Ok(appended - metrics.sum("bobchat_archived_total")?)
        });
        counts.sum()
    }

    /// Waits until at most `left` events are not stored: what was measured before does not disturb what comes.
    ///
    /// # Errors
    /// When it takes minutes.
    pub(super) async fn wait_until_archived(&self, left: f64) -> anyhow::Result<Duration> {
        let begin = Instant::now();
        while self.unarchived()? > left {
            ensure!(begin.elapsed() < ARCHIVED_WITHIN, "not all was stored within {ARCHIVED_WITHIN:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(begin.elapsed())
    }
}
