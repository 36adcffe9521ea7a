use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What TLS counts. Cheap to clone; every worker has one.
#[derive(Clone)]
pub struct TlsMetrics {
    handshakes: Family<HandshakeLabels, Counter>,
    /// When the certificate that is shown ends, in seconds since 1970.
    pub(super) not_after: Gauge,
    /// 1 while the files hold a pair that cannot be used, and an older one is.
    pub(super) refused: Gauge,
    /// Pairs that took the place of another.
    pub(super) reloads: Counter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandshakeLabels {
    outcome: &'static str,
}

/// What became of a handshake.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    /// The client is in.
    Done,
    /// The client, or what it asked for, was no good.
    Failed,
    /// The client took too long.
    Late,
    /// There were too many at once.
    Crowded,
    /// The client spoke HTTP without TLS.
    Plain,
}

impl TlsMetrics {
    /// Registers the metrics.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            handshakes: Family::default(),
            not_after: Gauge::default(),
            refused: Gauge::default(),
            reloads: Counter::default(),
        };
        let registry = registry.sub_registry_with_prefix("bobchat");
        registry.register("tls_handshakes", "TLS handshakes by outcome", metrics.handshakes.clone());
        let text = "When the certificate that clients see ends, in seconds since 1970";
        registry.register("tls_certificate_not_after_seconds", text, metrics.not_after.clone());
        let text = "1 while the certificate files hold what cannot be used, and an older certificate is shown";
        registry.register("tls_certificate_refused", text, metrics.refused.clone());
        registry.register("tls_reloads", "Certificates that took the place of another", metrics.reloads.clone());
        metrics
    }

    pub(super) fn count(&self, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Done => "done",
            Outcome::Failed => "failed",
            Outcome::Late => "late",
            Outcome::Crowded => "crowded",
            Outcome::Plain => "plain",
        };
        self.handshakes.get_or_create(&HandshakeLabels { outcome }).inc();
    }
}
