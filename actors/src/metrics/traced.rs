//! Histograms that can show a trace of something that fell into each bucket.

use std::fmt;
use std::sync::OnceLock;
use std::time::SystemTime;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, EncodeMetric, LabelValueEncoder, MetricEncoder};
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::{MetricType, TypedMetric};
use tracing::Span;

/// The trace that a span belongs to, as W3C's Trace Context has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub u128);

impl EncodeLabelValue for TraceId {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        fmt::Write::write_fmt(encoder, format_args!("{:032x}", self.0))
    }
}

/// Says which trace a span belongs to; none for one that is not collected.
pub type TraceOf = fn(&Span) -> Option<TraceId>;

/// One for the process, as the subscriber of its spans is.
static TRACE_OF: OnceLock<TraceOf> = OnceLock::new();

/// Sets how the trace of a span is found. Whoever collects spans does, once; until then no histogram shows a trace.
pub fn find_traces_with(trace_of: TraceOf) {
    // Set already: by the same subscriber, for there is one a process.
    let _ = TRACE_OF.set(trace_of);
}

fn trace_of(span: &Span) -> Option<TraceId> {
    // Most spans are of a node that collects none: those cost this much.
    if span.is_none() {
        return None;
    }
    TRACE_OF.get().and_then(|trace_of| trace_of(span))
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
