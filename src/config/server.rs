use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use config::Value;

use super::Network;
use super::read::{Reader, Section, Setting};

/// Where the server listens and for whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// The public address: WebSocket, REST and the browser client.
    pub listen: SocketAddr,
    /// What the public address speaks TLS with; `None`: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// The operator's address: metrics, health, administration.
    pub admin_listen: SocketAddr,
    /// Whether that address may be one that more than this machine and its own networks reach: something else keeps
    /// strangers from it. Asked only in production.
    pub admin_guarded: bool,
    /// Whether it refuses to start with what is good enough to try it and no more.
    pub production: bool,
    /// Worker threads; 0 for one per core.
    pub workers: usize,
    /// Web pages that may connect; empty for those that come from this server itself.
    pub allowed_origins: Vec<Origin>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// How long a server that ends waits for its connections to leave.
    pub drain_timeout: Duration,
    /// Whether what operators set while nodes run wins over what was read at the start.
    pub live_settings: bool,
}

/// A certificate and its key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key of the first one.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Reads a pair of keys of which both are given or neither.
    pub(super) fn read(section: &mut Section<'_>, certificate: &str, key: &str) -> Option<Self> {
        let files: (Option<PathBuf>, Option<PathBuf>) = (section.get(certificate, None), section.get(key, None));
        match files {
            (Some(certificate), Some(key)) => Some(Self { certificate, key }),
            (None, None) => None,
            _ => {
                section.contradiction(&[certificate, key], "only one is given: a certificate needs its key; give both");
                None
            }
        }
    }
}

impl Server {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let server = reader.section("server", |section| Self {
            listen: section.get("listen", SocketAddr::from(([127, 0, 0, 1], 8080))),
            tls: TlsFiles::read(section, "tls_certificate", "tls_key"),
            admin_listen: section.get("admin_listen", SocketAddr::from(([127, 0, 0, 1], 8090))),
            admin_guarded: section.get("admin_guarded", false),
            production: section.get("production", false),
            workers: usize::try_from(section.within("workers", 0_u64, 0..=1024)).unwrap_or(0),
            allowed_origins: section.get("allowed_origins", Vec::new()),
            trusted_proxies: section.get("trusted_proxies", Vec::new()),
            drain_timeout: section.within(
                "drain_timeout",
                Duration::from_secs(10),
                Duration::ZERO..=Duration::from_secs(600),
            ),
            live_settings: section.get("live_settings", true),
        });
        if server.listen.port() != 0 && server.listen == server.admin_listen {
            reader.contradiction(
                "server.listen, server.admin_listen",
                format!("both are {}; the public must not reach the operator's address", server.listen),
            );
        }
        server
    }
}

/// Where a web page comes from: scheme, host and port (RFC 6454), as browsers write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// The origin as browsers send it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.to_ascii_lowercase();
        let (scheme, rest) = text.split_once("://").ok_or(())?;
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || ".-:[]_".contains(letter);
        let is_origin = matches!(scheme, "http" | "https") && !rest.is_empty() && rest.chars().all(allowed);
        // Browsers leave out the port that belongs to the scheme, so an entry with it would never match.
        let default_port = if scheme == "https" { ":443" } else { ":80" };
        let rest = rest.strip_suffix(default_port).unwrap_or(rest);
        if is_origin { Ok(Self(format!("{scheme}://{rest}"))) } else { Err(()) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Setting for Origin {
    fn parse(value: &Value) -> Result<Self, String> {
        let expected = "expected an origin: scheme, host and port if it is not the usual one, such as \"https://chat.example.org\"";
        String::parse(value)?.parse().map_err(|()| expected.to_owned())
    }

    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Setting for Network {
    fn parse(value: &Value) -> Result<Self, String> {
        let expected = "expected an IP address or a network, such as \"10.0.0.0/8\"";
        String::parse(value)?.parse().map_err(|()| expected.to_owned())
    }

    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}
