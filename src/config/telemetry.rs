use config::Value;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::read::{Reader, Setting};
use crate::secret::Secret;

/// What the server tells about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Telemetry {
    /// Which log lines are written: a level, or directives such as `info,bobchat=debug`.
    pub log_filter: String,
    /// How they are written.
    pub log_format: LogFormat,
    /// The OTLP/HTTP collector that spans are sent to.
    pub otlp_endpoint: Option<String>,
    /// The `Authorization` header that the collector wants.
    pub otlp_authorization: Option<Secret>,
    /// The share of requests without a trace of their own that are traced: 0 to 1.
    pub trace_sample_ratio: f64,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// One JSON object a line.
    Json,
    /// For a person who reads along.
    Text,
}

impl Telemetry {
    pub(super) fn read(reader: &mut Reader) -> Self {
        reader.section("telemetry", |section| Self {
            log_filter: section.get_if("log_filter", "info".to_owned(), |filter| is_filter(filter)),
            log_format: section.get("log_format", LogFormat::Auto),
            otlp_endpoint: section.get_if("otlp_endpoint", None, is_endpoint),
            otlp_authorization: section.get("otlp_authorization", None),
            trace_sample_ratio: section.within("trace_sample_ratio", 1.0, 0.0..=1.0),
        })
    }
}

fn is_filter(filter: &str) -> Result<(), String> {
    // A bare word that is no level would be taken for a module, and a slip of the pen would silence the log.
    let is_level = |part: &str| !part.is_empty() && part.parse::<LevelFilter>().is_ok();
    let is_good =
        filter.split(',').all(|part| part.contains('=') || is_level(part)) && filter.parse::<Targets>().is_ok();
    let expected = "expected a level (error, warn, info, debug, trace) or directives, such as \"info,bobchat=debug\"";
    if is_good { Ok(()) } else { Err(expected.to_owned()) }
}

fn is_endpoint(endpoint: &Option<String>) -> Result<(), String> {
    let Some(endpoint) = endpoint else { return Ok(()) };
    let is_good = endpoint.strip_prefix("http://").is_some_and(|host| !host.is_empty());
    let expected = "expected the collector's base address over plain HTTP, such as \"http://127.0.0.1:4318\"";
    if is_good { Ok(()) } else { Err(expected.to_owned()) }
}

impl Setting for LogFormat {
    fn parse(value: &Value) -> Result<Self, String> {
        match String::parse(value)?.as_str() {
            "auto" => Ok(Self::Auto),
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err("expected \"auto\", \"json\" or \"text\"".to_owned()),
        }
    }

    fn show(&self) -> String {
        let name = match self {
            Self::Auto => "auto",
            Self::Json => "json",
            Self::Text => "text",
        };
        format!("\"{name}\"")
    }
}
