//! The trace of a message, carried from the node that appends it to those that hear of it: `traceparent` of the W3C's
//! Trace Context, as a client sends it with a request.

use std::collections::HashMap;

use bobchat_actors::traces::TRACE;
use bobchat_proto::ids::RoomId;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

const TRACEPARENT: &str = "traceparent";

/// The length of every `traceparent` of the version that there is.
const LENGTH: usize = 55;

/// What continues the present span elsewhere; nothing unless the trace is kept.
pub(super) fn present() -> Option<String> {
    let context = tracing::Span::current().context();
    if !context.span().span_context().is_sampled() {
        return None;
    }
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// A span that continues what another node has begun. Whoever publishes may write anything: what is no context
/// begins no span, and what is one can be wrong about nothing but a trace.
pub(super) fn continued(traceparent: Option<String>, room: RoomId) -> tracing::Span {
    let Some(traceparent) = traceparent.filter(|text| text.len() == LENGTH) else { return tracing::Span::none() };
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent)]);
    let context = TraceContextPropagator::new().extract_with_context(&opentelemetry::Context::new(), &carrier);
    if !context.span().span_context().is_sampled() {
        return tracing::Span::none();
    }
    let span = tracing::debug_span!(target: TRACE, parent: None, "backplane.heard", room.id = %room);
    // Fails where no collector is configured, and then there is no span either.
    let _ = span.set_parent(context);
    span
}
