use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// What the store counts.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    pub(super) commit_events: Histogram,
    pub(super) commit_seconds: Histogram,
    pub(super) queue_depth: Gauge,
    pub(super) full: Counter,
    pub(super) fsyncs: Counter,
    pub(super) checkpoints: Counter,
    pub(super) keys_swept: Counter,
    pub(super) reads_refused: Counter,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            commit_events: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            // From 125 µs, an fsync that a cache answers, to 4 s.
            commit_seconds: Histogram::new(exponential_buckets(0.000_125, 2.0, 16)),
            queue_depth: Gauge::default(),
            full: Counter::default(),
            fsyncs: Counter::default(),
            checkpoints: Counter::default(),
            keys_swept: Counter::default(),
            reads_refused: Counter::default(),
        };
        registry.register("bobchat_store_commit_events", "Events of one commit", metrics.commit_events.clone());
        registry.register("bobchat_store_commit_seconds", "Time of one commit", metrics.commit_seconds.clone());
        registry.register("bobchat_store_queue_depth", "Writes that wait", metrics.queue_depth.clone());
        registry.register("bobchat_store_full", "Writes refused for want of room", metrics.full.clone());
        registry.register("bobchat_store_fsyncs", "Syncs of the store's files", metrics.fsyncs.clone());
        registry.register(
            "bobchat_store_checkpoints",
            "Commits that took the journal into the file",
            metrics.checkpoints.clone(),
        );
        registry.register("bobchat_store_keys_swept", "Idempotency keys forgotten", metrics.keys_swept.clone());
        registry.register(
            "bobchat_store_reads_refused",
            "Reads that found the queue full",
            metrics.reads_refused.clone(),
        );
        metrics
    }
}
