use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::exponential_buckets;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

use crate::metrics::TracedHistogram;

/// What a node of a cluster counts. Shared by all threads.
#[derive(Debug, Clone)]
pub struct ClusterMetrics {
    /// Logs that this node opened under a new epoch.
    pub raises: Counter,
    /// Raises that did not come to their end, or found somebody else's.
    pub raises_failed: Counter,
    /// Events that were put back into logs that had lost them.
    pub salvaged: Counter,
    /// Events that were stored.
    pub archived: Counter,
    /// Rounds of storing a room that did not come to their end.
    pub archive_failed: Counter,
    /// The age of the oldest event of a round when it was stored.
    pub archive_lag_seconds: TracedHistogram,
    /// The age of the oldest event that this node answered for and that is not stored, at the last beat.
    pub unarchived_seconds: Gauge<f64, AtomicU64>,
    /// Encoded bytes that this node answered for and that are not stored.
    pub unarchived_bytes: Gauge,
    /// Rooms that they belong to.
    pub unarchived_rooms: Gauge,
    /// Sends refused because too much waits to be stored, in a room or on this node.
    pub full: Counter,
}

impl ClusterMetrics {
    /// Makes the metrics and registers them, each with the prefix `bobchat_`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            raises: Counter::default(),
            raises_failed: Counter::default(),
            salvaged: Counter::default(),
            archived: Counter::default(),
            archive_failed: Counter::default(),
            archive_lag_seconds: TracedHistogram::new(exponential_buckets(0.01, 2.0, 14)),
            unarchived_seconds: Gauge::default(),
            unarchived_bytes: Gauge::default(),
            unarchived_rooms: Gauge::default(),
            full: Counter::default(),
        };
        for (name, help, counter) in [
            ("bobchat_log_raises", "Logs opened under a new epoch", &metrics.raises),
            ("bobchat_log_raises_failed", "Raises that were left to somebody else or to later", &metrics.raises_failed),
            ("bobchat_log_salvaged", "Events put back into logs that had lost them", &metrics.salvaged),
            ("bobchat_log_full", "Sends refused because too much waits to be stored", &metrics.full),
            ("bobchat_archived", "Events stored", &metrics.archived),
            ("bobchat_archive_failed", "Rounds of storing a room that failed", &metrics.archive_failed),
        ] {
            registry.register(name, help, counter.clone());
        }
        for (name, help, gauge) in [
            ("bobchat_unarchived_bytes", "Bytes answered for and not stored", &metrics.unarchived_bytes),
            ("bobchat_unarchived_rooms", "Rooms with events answered for and not stored", &metrics.unarchived_rooms),
        ] {
            registry.register(name, help, gauge.clone());
        }
        let (name, help) = ("bobchat_unarchived_seconds", "Age of the oldest event answered for and not stored");
        registry.register(name, help, metrics.unarchived_seconds.clone());
        let lag = metrics.archive_lag_seconds.clone();
        registry.register("bobchat_archive_lag_seconds", "Age of the oldest event of a round when stored", lag);
        metrics
    }
}
