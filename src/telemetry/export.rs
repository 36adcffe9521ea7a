//! Spans to an OpenTelemetry collector, over HTTP.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use ureq::Agent;

use crate::config;
use crate::secret::Secret;

/// A batch that the collector has not taken by then is lost: spans are worth no more.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// The exporter, as configured; none without a collector.
pub(super) fn provider(config: &config::Telemetry) -> Result<Option<SdkTracerProvider>, ExporterBuildError> {
    let Some(endpoint) = &config.otlp_endpoint else { return Ok(None) };
    // Without a propagator the traceparent of a request is ignored.
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(BlockingClient::new(config.otlp_authorization.clone()))
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()?;
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.trace_sample_ratio)));
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_service_name("bobchat").with_attribute(version).build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_sampler(sampler);
    Ok(Some(provider.with_resource(resource).build()))
}

/// What turns spans of `tracing` into OpenTelemetry's.
pub(super) fn tracer(provider: &SdkTracerProvider) -> SdkTracer {
    provider.tracer("bobchat")
}

/// The batch processor exports from a thread of its own that has no reactor: an asynchronous client would
/// panic there, so this one blocks.
#[derive(Debug)]
struct BlockingClient {
    agent: Agent,
    authorization: Option<Secret>,
}

impl BlockingClient {
    fn new(authorization: Option<Secret>) -> Self {
        let config = Agent::config_builder().timeout_global(Some(EXPORT_TIMEOUT)).http_status_as_error(false).build();
        Self { agent: Agent::new_with_config(config), authorization }
    }
}

#[async_trait]
impl HttpClient for BlockingClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut request = request.map(|body| body.to_vec());
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert("authorization", authorization.reveal().parse()?);
        }
        let (parts, mut body) = self.agent.run(request)?.into_parts();
        Ok(Response::from_parts(parts, Bytes::from(body.read_to_vec()?)))
    }
}
