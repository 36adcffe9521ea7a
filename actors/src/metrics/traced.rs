//! Histograms that can show a trace of something that fell into each bucket.

use std::fmt;
use std::time::SystemTime;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, EncodeMetric, LabelValueEncoder, MetricEncoder};
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::{MetricType, TypedMetric};
use tracing::Span;

use crate::traces::{TraceId, trace_of};

impl EncodeLabelValue for TraceId {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        fmt::Write::write_fmt(encoder, format_args!("{:032x}", self.0))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Exemplar {
    trace_id: TraceId,
}

/// A histogram of seconds. Each bucket keeps the trace that fell into it last, so that somebody who sees a slow one
/// finds out why. Cheap to clone; shared by all threads.
#[derive(Debug, Clone)]
pub struct TracedHistogram(HistogramWithExemplars<Exemplar>);

impl TracedHistogram {
    /// A histogram with these buckets.
    #[must_use]
    pub fn new(buckets: impl Iterator<Item = f64>) -> Self {
        Self(HistogramWithExemplars::new(buckets))
    }

    /// Counts something that took so many seconds, within `span`.
    pub fn observe(&self, seconds: f64, span: &Span) {
        let exemplar = trace_of(span).map(|trace_id| Exemplar { trace_id });
        // The time of day is told to Prometheus alone, so nobody has to be able to choose it.
        let at = exemplar.is_some().then(SystemTime::now);
        self.0.observe(seconds, exemplar, at);
    }
}

impl EncodeMetric for TracedHistogram {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.0.metric_type()
    }
}

impl TypedMetric for TracedHistogram {
    const TYPE: MetricType = MetricType::Histogram;
}
