//! What the server tells about itself: log lines, traces, metrics.
//!
//! Log lines go to stderr, always. Spans of the data path have the target [`TRACE`] and exist only in traces that are
//! kept: without a collector in none, else in the share that is configured, which is drawn before a span is made. Metrics
//! are kept whether or not anybody scrapes them.

mod controls;
mod export;
mod json;
pub mod metrics;
mod process;

use std::io::{IsTerminal as _, stderr};
use std::sync::Arc;

use bobchat_actors::traces::{TRACE, collect_with};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Level;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{self, LogFormat};
pub use crate::trust::TrustError;
pub use controls::Controls;
pub use export::ExportError;
use export::SampleRatio;
pub(crate) use export::{key_of, trust};

/// The target of the span around each REST request that is not traced: its fields stand in the log's lines.
pub const REQUEST_TARGET: &str = "bobchat::request";

/// The target of the span around each REST request that is traced. To the log it is no other one.
pub const TRACED_REQUEST_TARGET: &str = "bobchat::request::traced";

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter does not take the endpoint.
    #[error("could not set up the export of spans")]
    Export(#[source] ExportError),
    /// Somebody else in this process has taken the log already.
    #[error("could not install the log")]
    Log(#[source] tracing_subscriber::util::TryInitError),
}

/// Running telemetry; ends with [`Telemetry::shutdown`].
#[derive(Debug)]
pub struct Telemetry {
    spans: Option<SdkTracerProvider>,
    controls: Controls,
}

impl Telemetry {
    /// Starts logs, and the export of spans when there is a collector, as those of `node` where there are several.
    /// Once a process.
    ///
    /// # Errors
    /// See [`TelemetryError`]; the server does not start.
    pub fn start(config: &config::Telemetry, node: Option<String>) -> Result<Self, TelemetryError> {
        let ratio = Arc::<SampleRatio>::default();
        let spans = export::provider(config, node).map_err(TelemetryError::Export)?;
        let mut controls = Controls::over(config, ratio.clone());
        if spans.is_some() {
            collect_with(Box::new(export::Traces(ratio)));
        }
        let exported = spans.as_ref().map(|provider| {
            tracing_opentelemetry::layer().with_tracer(export::tracer(provider)).with_filter(exported_spans())
        });
        let text = (!is_json(config.log_format)).then(|| {
            let layer = tracing_subscriber::fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal());
            layer.with_filter(controls.filter(log_filter(&config.log_filter)))
        });
        let json = is_json(config.log_format).then(|| {
            let layer = tracing_subscriber::fmt::layer().with_writer(stderr);
            let layer = layer.fmt_fields(json::Fields::new()).event_format(json::Lines);
            layer.with_filter(controls.filter(log_filter(&config.log_filter)))
        });
        let subscriber = tracing_subscriber::registry().with(exported).with(text).with(json);
        subscriber.try_init().map_err(TelemetryError::Log)?;
        Ok(Self { spans, controls })
    }

    /// What can be changed of it while it runs.
    #[must_use]
    pub fn controls(&self) -> Controls {
        self.controls.clone()
    }

    /// Sends what is left to the collector. Blocks for seconds when it does not answer, so it is called
    /// when the runtime has ended, or off it.
    pub fn shutdown(self) {
        if let Some(Err(error)) = self.spans.as_ref().map(SdkTracerProvider::shutdown) {
            tracing::warn!(error = %error, "could not send the last spans");
        }
    }
}

fn is_json(format: LogFormat) -> bool {
    match format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !stderr().is_terminal(),
    }
}

/// Spans of kept traces; those that are made for the log alone are not.
fn exported_spans() -> Targets {
    Targets::new().with_target(TRACE, Level::DEBUG).with_target(TRACED_REQUEST_TARGET, Level::INFO)
}

/// Log lines never come from the data path's spans, so the log need not see them; and how many threads a
/// library starts, or which nodes another one finds, interests only those who ask for it. What actix-http calls an
/// error is a request that cannot be read: anybody could fill the log with those.
fn log_filter(filter: &str) -> Targets {
    // The configuration was checked when it was read.
    let chosen: Targets = format!("actix_http=off,actix_server=warn,scylla=warn,{filter}").parse().unwrap_or_default();
    chosen.with_target(TRACE, LevelFilter::OFF)
}

#[cfg(test)]
mod tests {
    use bobchat_actors::traces;
    use tracing::Span;

    use super::*;

    #[test]
    fn what_the_log_alone_sees_is_in_no_trace() {
        collect_with(Box::new(export::Traces(Arc::default())));
        let provider = SdkTracerProvider::builder().build();
        let exported = tracing_opentelemetry::layer().with_tracer(export::tracer(&provider));
        let log = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
        let subscriber = tracing_subscriber::registry().with(exported.with_filter(exported_spans())).with(log);
        tracing::subscriber::with_default(subscriber, || {
            let within = |span: Span| (span.is_disabled(), span.in_scope(traces::present).is_disabled());
            assert_eq!(within(tracing::info_span!(target: REQUEST_TARGET, "request")), (false, true));
            assert_eq!(within(tracing::info_span!(target: TRACED_REQUEST_TARGET, "request")), (false, false));
        });
    }
}
