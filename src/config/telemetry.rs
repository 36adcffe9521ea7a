use std::path::PathBuf;

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
    /// The authorities that sign the collector's certificate, instead of those that the machine trusts.
    pub otlp_certificates: Option<PathBuf>,
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
        reader.section("telemetry", |section| {
            let telemetry = Self {
                log_filter: section.get_if("log_filter", "info".to_owned(), |filter| is_filter(filter)),
                log_format: section.get("log_format", LogFormat::Auto),
                otlp_endpoint: section.get_if("otlp_endpoint", None, is_endpoint),
                otlp_certificates: section.get("otlp_certificates", None),
                otlp_authorization: section.secret("otlp_authorization"),
                trace_sample_ratio: section.within("trace_sample_ratio", 1.0, 0.0..=1.0),
            };
            let is_encrypted = telemetry.otlp_endpoint.as_ref().is_some_and(|url| url.starts_with("https://"));
            if telemetry.otlp_certificates.is_some() && !is_encrypted {
                let expected = "authorities are given for a connection in the clear: write https:// for TLS";
                section.contradiction(&["otlp_certificates", "otlp_endpoint"], expected);
            }
            telemetry
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
    let host = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
    let is_good = host.is_some_and(|host| !host.is_empty());
    let expected = "expected the collector's base address, such as \"http://127.0.0.1:4318\" or \"https://..\"";
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
