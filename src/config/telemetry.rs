use std::path::PathBuf;

use config::Value;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::TlsFiles;
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
    pub otlp_endpoint: Option<CollectorUrl>,
    /// The authorities that sign the collector's certificate, instead of those that the machine trusts.
    pub otlp_certificates: Option<PathBuf>,
    /// Who this node is to a collector that asks.
    pub otlp_identity: Option<TlsFiles>,
    /// The `Authorization` header that the collector wants.
    pub otlp_authorization: Option<Secret>,
    /// The share of requests without a trace of their own that are traced: 0 to 1.
    pub trace_sample_ratio: f64,
}

/// The base address of a collector; no login stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorUrl(String);

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
                otlp_endpoint: section.get("otlp_endpoint", None),
                otlp_certificates: section.get("otlp_certificates", None),
                otlp_identity: TlsFiles::read(section, "otlp_client_certificate", "otlp_client_key"),
                otlp_authorization: section.secret("otlp_authorization"),
                trace_sample_ratio: section.within("trace_sample_ratio", 1.0, 0.0..=1.0),
            };
            let is_encrypted = telemetry.otlp_endpoint.as_ref().is_some_and(CollectorUrl::is_encrypted);
            if telemetry.otlp_certificates.is_some() && !is_encrypted {
                let expected = "authorities are given for a connection in the clear: write https:// for TLS";
                section.contradiction(&["otlp_certificates", "otlp_endpoint"], expected);
            }
            if telemetry.otlp_identity.is_some() && !is_encrypted {
                let expected = "a certificate is given for a connection in the clear: write https:// for TLS";
                section.contradiction(&["otlp_client_certificate", "otlp_endpoint"], expected);
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

impl CollectorUrl {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a connection to it is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl Setting for CollectorUrl {
    fn parse(value: &Value) -> Result<Self, String> {
        let text = String::parse(value)?;
        if text.contains('@') {
            return Err("expected an address without a login: put it into telemetry.otlp_authorization".to_owned());
        }
        let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        let expected = "expected the collector's base address, such as \"http://127.0.0.1:4318\" or \"https://..\"";
        if host.is_some_and(|host| !host.is_empty()) { Ok(Self(text)) } else { Err(expected.to_owned()) }
    }

    fn show(&self) -> String {
        format!("\"{}\"", self.0)
    }

    /// A password may stand in what is no good address.
    fn show_refused(_: &Value) -> String {
        "\"***\"".to_owned()
    }
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
