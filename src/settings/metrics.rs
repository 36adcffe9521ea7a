use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What is counted of a node's settings.
#[derive(Debug, Clone, Default)]
pub struct SettingsMetrics {
    pub(super) version: Gauge,
    pub(super) refusals: Counter,
    pub(super) ignored: Gauge,
    pub(super) looked_at: Gauge<f64, AtomicU64>,
}

impl SettingsMetrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let version = "Version of the settings that this node applied";
        registry.register("bobchat_settings_version", version, metrics.version.clone());
        let refusals = "Versions of the settings that this node refused";
        registry.register("bobchat_settings_refusals", refusals, metrics.refusals.clone());
        let ignored = "Settings that this node's program does not know";
        registry.register("bobchat_settings_ignored", ignored, metrics.ignored.clone());
        let looked_at = "When this node last read the settings, in seconds since 1970";
        registry.register("bobchat_settings_looked_at_seconds", looked_at, metrics.looked_at.clone());
        metrics
    }
}
