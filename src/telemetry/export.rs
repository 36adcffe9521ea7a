//! Spans to an OpenTelemetry collector, over HTTP.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bobchat_actors::traces::{TraceId, Tracer};
use bytes::Bytes;
use opentelemetry::KeyValue;
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator, Sampler, SdkTracer, SdkTracerProvider};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use ureq::Agent;
use ureq::tls::TlsConfig;

use crate::config::{self, CollectorUrl};
use crate::secret::Secret;
use crate::trust::{TrustError, trusting};

/// A batch that the collector has not taken by then is lost: spans are worth no more.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why spans cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The authorities that are to be trusted, or who this node is, cannot be had.
    #[error("telemetry.otlp_certificates, otlp_client_certificate, otlp_client_key")]
    Trust(#[from] TrustError),
    /// The exporter could not be made.
    #[error(transparent)]
    Exporter(#[from] ExporterBuildError),
}

/// The exporter, as configured; none without a collector.
pub(super) fn provider(
    config: &config::Telemetry,
    node: Option<String>,
) -> Result<Option<SdkTracerProvider>, ExportError> {
    let Some(endpoint) = &config.otlp_endpoint else { return Ok(None) };
    // Without a propagator the traceparent of a request is ignored.
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(BlockingClient::new(config)?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/')))
        .build()?;
    // A span that has no parent was drawn before it was made: see `Traces`.
    let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let node = node.map(|node| KeyValue::new("service.instance.id", node));
    let resource =
        Resource::builder().with_service_name("bobchat").with_attribute(version).with_attributes(node).build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_sampler(sampler);
    Ok(Some(provider.with_resource(resource).build()))
}

/// Keeps the share of traces that is to be kept.
#[derive(Debug)]
pub(super) struct Traces(pub(super) Arc<SampleRatio>);

impl Tracer for Traces {
    fn begins(&self) -> bool {
        self.0.draw()
    }

    fn trace_of(&self, span: &Span) -> Option<TraceId> {
        let context = span.context();
        let context = context.span().span_context().clone();
        context.is_sampled().then(|| TraceId(u128::from_be_bytes(context.trace_id().to_bytes())))
    }
}

/// Whom a connection to the collector trusts, and who this node is there; none in the clear.
///
/// # Errors
/// [`TrustError`].
pub(crate) fn trust(config: &config::Telemetry) -> Result<Option<TlsConfig>, TrustError> {
    match config.otlp_endpoint.as_ref().is_some_and(CollectorUrl::is_encrypted) {
        true => trusting(config.otlp_certificates.as_deref(), config.otlp_identity.as_ref()).map(Some),
        false => Ok(None),
    }
}

/// The key of the configuration that names a file of the collector's.
pub(crate) fn key_of(config: &config::Telemetry, file: &Path) -> &'static str {
    match &config.otlp_identity {
        Some(identity) if identity.certificate == file => "telemetry.otlp_client_certificate",
        Some(identity) if identity.key == file => "telemetry.otlp_client_key",
        _ => "telemetry.otlp_certificates",
    }
}

/// What turns spans of `tracing` into OpenTelemetry's.
pub(super) fn tracer(provider: &SdkTracerProvider) -> SdkTracer {
    provider.tracer("bobchat")
}

/// The share of requests that are traced; may change.
#[derive(Debug, Default)]
pub(super) struct SampleRatio(AtomicU64);

impl SampleRatio {
    pub(super) fn set(&self, ratio: f64) {
        self.0.store(ratio.to_bits(), Ordering::Relaxed);
    }

    /// Whether a trace that begins now is of the share.
    fn draw(&self) -> bool {
        let ratio = f64::from_bits(self.0.load(Ordering::Relaxed));
        // As many bits as a float holds: the number is below 1, also rounded.
        let number = RandomIdGenerator::default().new_span_id();
        let number = u64::from_be_bytes(number.to_bytes()) >> (u64::BITS - f64::MANTISSA_DIGITS);
        (number as f64) < ratio * DRAWN
    }
}

/// How many numbers there are to draw from.
const DRAWN: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;

/// The batch processor exports from a thread of its own that has no reactor: an asynchronous client would
/// panic there, so this one blocks.
#[derive(Debug)]
struct BlockingClient {
    agent: Agent,
    authorization: Option<Secret>,
}

impl BlockingClient {
    fn new(config: &config::Telemetry) -> Result<Self, ExportError> {
        let agent = Agent::config_builder().timeout_global(Some(EXPORT_TIMEOUT)).http_status_as_error(false);
        let agent = match trust(config)? {
            Some(trust) => agent.tls_config(trust),
            None => agent,
        };
        Ok(Self { agent: Agent::new_with_config(agent.build()), authorization: config.otlp_authorization.clone() })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Config};
    use crate::telemetry::Controls;

    fn configured(ratio: &str) -> config::Telemetry {
        let (config, _) = Config::explain_text(&format!("[telemetry]\ntrace_sample_ratio = {ratio}")).unwrap();
        config.telemetry
    }

    #[test]
    fn the_share_that_is_traced_follows_what_is_set() {
        let ratio = Arc::<SampleRatio>::default();
        let controls = Controls::over(&configured("0.0"), ratio.clone());
        let traces = Traces(ratio);
        let kept = || (0..100_000).filter(|_| traces.begins()).count();
        assert_eq!(kept(), 0);
        controls.set(&configured("1.0"));
        assert_eq!(kept(), 100_000);
        // Six standard deviations to either side: one run in half a billion fails by chance.
        controls.set(&configured("0.5"));
        assert!((49_050..=50_950).contains(&kept()), "{}", kept());
        controls.set(&configured("0.01"));
        assert!((810..=1_190).contains(&kept()), "{}", kept());
    }
}
