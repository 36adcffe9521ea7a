//! The span and the metrics around each request.

use std::rc::Rc;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderMap;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _};
use bobchat_actors::traces;
use opentelemetry::Context;
use opentelemetry::global::get_text_map_propagator;
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::TraceContextExt as _;
use tracing::Span;
use tracing_actix_web::{RequestId, RootSpanBuilder};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::Edge;
use crate::telemetry::{REQUEST_TARGET, TRACED_REQUEST_TARGET};

/// What stands in metrics and spans for a path that is no route.
const NO_ROUTE: &str = "none";

/// The span of a request. Who sees it is said by its target, before anything of it is made.
macro_rules! request_span {
    ($target:expr, $method:ident, $route:ident, $id:ident) => {
        tracing::info_span!(
            target: $target,
            "request",
            otel.name = format!("{} {}", $method, $route),
            otel.kind = "server",
            otel.status_code = tracing::field::Empty,
            http.request.method = $method,
            http.route = $route,
            http.response.status_code = tracing::field::Empty,
            request.id = $id,
            user.id = tracing::field::Empty,
        )
    };
}

/// Makes the span around a request. It names the route, never the path: a path holds identifiers; and
/// neither address nor agent: those are people's.
pub(super) struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let (method, route) = (request.method().as_str(), request.match_pattern());
        let route = route.as_deref().unwrap_or(NO_ROUTE);
        let id = request.extensions().get::<RequestId>().map(ToString::to_string);
        let Some(parent) = kept(request.headers()) else {
            return request_span!(REQUEST_TARGET, method, route, id);
        };
        let span = request_span!(TRACED_REQUEST_TARGET, method, route, id);
        // Fails where nobody collects spans of this target, and then there is none.
        let _ = span.set_parent(parent);
        span
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        span.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
    }
}

/// What a request's trace goes on from, where it is kept: whoever brings a trace has decided that, else it is drawn.
fn kept(headers: &HeaderMap) -> Option<Context> {
    let parent =
        get_text_map_propagator(|propagator| propagator.extract_with_context(&Context::new(), &Headers(headers)));
    let begun = parent.span().span_context().clone();
    let is_kept = if begun.is_valid() { begun.is_sampled() } else { traces::begins() };
    is_kept.then_some(parent)
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}

/// Counts a request by its route and status.
pub(super) async fn count<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let begin = Instant::now();
    let edge = request.app_data::<Rc<Edge>>().cloned();
    let method = request.method().clone();
    let response = next.call(request).await?;
    let route = response.request().match_pattern();
    let route = route.as_deref().unwrap_or(NO_ROUTE);
    let (status, elapsed) = (response.status().as_u16(), begin.elapsed());
    if let Some(edge) = edge {
        // A client may invent methods; those of the API are few.
        let method = if is_known(method.as_str()) { method.as_str() } else { "other" };
        edge.metrics.observe(method, route, status, elapsed.as_secs_f64(), &Span::current());
    }
    tracing::debug!(http.response.status_code = status, duration_ms = elapsed.as_secs_f64() * 1e3, "request answered");
    Ok(response)
}

fn is_known(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS")
}
