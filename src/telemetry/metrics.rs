//! The registry of metrics, and those of the process and of REST. The core registers its own.

use std::sync::Arc;

use bobchat_actors::metrics::TracedHistogram;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tracing::Span;

use super::process::Process;

/// The media type of [`render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Makes the registry of this process: what runs, on what, and for how long. The node has one of its own; names
/// of ours begin with `bobchat_`.
#[must_use]
pub fn registry() -> Registry {
    let mut registry = Registry::default();
    let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("bobchat_build", "What runs here", build);
    registry.register_collector(Box::new(Process));
    registry
}

/// Writes the metrics of these registries, one after the other, as a scrape expects them.
#[must_use]
pub fn render<'a>(registries: impl IntoIterator<Item = &'a Registry>) -> String {
    let mut text = String::new();
    // Writing to memory fails only when a collector does; the scrape then shows what there is.
    for registry in registries {
        let _ = encode_registry(&mut text, registry);
    }
    let _ = encode_eof(&mut text);
    text
}

/// What REST counts. Cheap to clone; every worker has one.
#[derive(Clone)]
pub struct HttpMetrics {
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, TracedHistogram, fn() -> TracedHistogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    route: Route,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: String,
    route: Route,
}

/// A route's pattern, never a path: the label set stays bounded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Route(Arc<str>);

impl EncodeLabelValue for Route {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        (&*self.0).encode(encoder)
    }
}

impl HttpMetrics {
    /// Registers the metrics.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self { requests: Family::default(), seconds: Family::new_with_constructor(histogram) };
        let registry = registry.sub_registry_with_prefix("bobchat");
        registry.register("http_requests", "REST requests by route and status", metrics.requests.clone());
        registry.register("http_request_seconds", "Time to answer a REST request", metrics.seconds.clone());
        metrics
    }

    /// Counts one answered request, within its span. `method` and `route` come from the route table, not from the client.
    pub fn observe(&self, method: &str, route: &str, status: u16, seconds: f64, span: &Span) {
        let (method, route) = (method.to_owned(), Route(route.into()));
        self.seconds
            .get_or_create(&RouteLabels { method: method.clone(), route: route.clone() })
            .observe(seconds, span);
        self.requests.get_or_create(&RequestLabels { method, route, status }).inc();
    }
}

fn histogram() -> TracedHistogram {
    // From half a millisecond to ten seconds: a read from memory, a commit, a store that stalls.
    TracedHistogram::new([0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0].into_iter())
}

#[cfg(test)]
mod tests {
    use bobchat_actors::traces::collect_with;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::super::export;
    use super::*;

    #[test]
    fn a_bucket_shows_the_trace_that_fell_into_it() {
        let (provider, mut registry) = (SdkTracerProvider::builder().build(), Registry::default());
        let http = HttpMetrics::register(&mut registry);
        let layer = tracing_opentelemetry::layer().with_tracer(export::tracer(&provider));
        collect_with(Box::new(export::Traces(Arc::default())));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            http.observe("GET", "/", 200, 0.003, &tracing::info_span!("request"));
            http.observe("GET", "/", 200, 0.3, &Span::none());
        });
        let text = render([&registry]);
        let bucket = |bound: &str| {
            let begin = format!("bobchat_http_request_seconds_bucket{{le=\"{bound}\"");
            text.lines().find(|line| line.starts_with(&begin)).unwrap()
        };
        let (_, exemplar) = bucket("0.005").split_once(" # {trace_id=\"").expect("the trace is shown");
        let (trace, rest) = exemplar.split_once("\"} ").unwrap();
        assert!(trace.len() == 32 && trace.bytes().all(|digit| digit.is_ascii_hexdigit()), "{trace}");
        assert!(rest.starts_with("0.003 "), "the value and when: {rest}");
        assert!(!bucket("1.0").contains('#'), "nothing was traced there");
    }

    #[test]
    fn a_scrape_shows_the_process_the_build_and_the_requests() {
        let mut registry = registry();
        let http = HttpMetrics::register(&mut registry);
        http.observe("GET", "/api/v1/rooms/{room}", 200, 0.003, &Span::none());
        let text = render([&registry]);
        for line in [
            "process_cpu_seconds_total ",
            "process_resident_memory_bytes ",
            concat!("bobchat_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "bobchat_http_requests_total{method=\"GET\",route=\"/api/v1/rooms/{room}\",status=\"200\"} 1",
            "bobchat_http_request_seconds_bucket{le=\"0.005\",method=\"GET\",route=\"/api/v1/rooms/{room}\"} 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found.starts_with(line)), "{line} in\n{text}");
        }
    }
}
