//! What a run is pointed at.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};
use bobchat_proto::codec::Format;

use crate::dialect::Dialect;
use crate::ws::{self, Trust};

/// The schemes beside Bobchat's.
const OTHERS: &str = "floor://, baseline://, socketio://, centrifugo:// or tinode://";

/// What an API key follows in a target.
const API_KEY: &str = "?apikey=";

/// What a file of authorities follows in a target, when it is to be parsed again.
const AUTHORITIES: &str = "?ca=";

/// A server under load: `http://HOST:PORT` or `https://HOST:PORT` for Bobchat, `floor://`, `baseline://`, `socketio://`, `centrifugo://` and
/// `tinode://` for what it is compared with. Written out it has no API key, for that is what results show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// What the server speaks; for Bobchat the format is chosen beside the target.
    pub(crate) dialect: Dialect,
    /// `host:port`.
    pub(crate) authority: String,
    /// Tinode's, where it is not the one that Tinode comes with.
    api_key: Option<String>,
    /// Whom to trust over TLS; in the clear without.
    trust: Option<Trust>,
}

impl Target {
    /// A server at `host:port`.
    pub(crate) const fn new(dialect: Dialect, authority: String) -> Self {
        Self { dialect, authority, api_key: None, trust: None }
    }

    /// The same server, spoken to in `format` if it is Bobchat.
    #[must_use]
    pub(crate) fn in_format(mut self, format: Format) -> Self {
        if let Dialect::Bobchat(_) = self.dialect {
            self.dialect = Dialect::Bobchat(format);
        }
        self
    }

    /// The same server, which is a Tinode, asked with this API key.
    ///
    /// # Errors
    /// When it is none: it goes into a path as it is.
    pub(crate) fn with_api_key(mut self, api_key: &str) -> anyhow::Result<Self> {
        ensure!(self.dialect == Dialect::Tinode, "only tinode:// takes an API key");
        let is_key = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte);
        ensure!(!api_key.is_empty() && api_key.bytes().all(is_key), "an API key is of letters, digits, - and _");
        self.api_key = Some(api_key.to_owned());
        Ok(self)
    }

    /// The same server, spoken to over TLS.
    #[must_use]
    pub(crate) fn trusting(mut self, trust: Trust) -> Self {
        self.trust = Some(trust);
        self
    }

    /// The same server, trusted by the authorities in this file.
    ///
    /// # Errors
    /// When it is not spoken to over TLS.
    pub(crate) fn with_authorities(self, file: &Path) -> anyhow::Result<Self> {
        ensure!(self.trust.is_some(), "{self} is not spoken to over TLS: write https://, or leave --ca out");
        Ok(self.trusting(Trust::in_file(file)))
    }

    /// Whom to trust over TLS.
    pub(crate) const fn trust(&self) -> Option<&Trust> {
        self.trust.as_ref()
    }

    /// All of it, to be parsed again: with the API key, and the file of authorities.
    pub(crate) fn url(&self) -> String {
        match (&self.api_key, self.trust.as_ref().and_then(Trust::file)) {
            (Some(key), _) => format!("{self}{API_KEY}{key}"),
            (None, Some(file)) => format!("{self}{AUTHORITIES}{}", file.display()),
            (None, None) => self.to_string(),
        }
    }

    /// What opens the WebSocket for a member of a room; nothing where there is none.
    pub(crate) fn request(&self, room: u64) -> Option<ws::Request> {
        let (path, subprotocol) = self.dialect.endpoint(room, self.api_key.as_deref())?;
        Some(ws::Request { authority: self.authority.clone(), path, subprotocol, trust: self.trust.clone() })
    }

    /// An error of connecting, with what to do about it where that is known.
    pub(crate) fn explained(&self, error: anyhow::Error) -> anyhow::Error {
        let forbidden = error.downcast_ref::<ws::Refused>().is_some_and(ws::Refused::is_forbidden);
        if forbidden && self.dialect == Dialect::Tinode {
            return error.context("Tinode wants its API key: tinode://HOST:PORT?apikey=KEY, or --tinode-api-key");
        }
        error
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.trust.is_some() { "https" } else { self.dialect.scheme() };
        write!(f, "{scheme}://{}", self.authority)
    }
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (scheme, rest) = text.split_once("://").with_context(|| {
            format!("a target is http://HOST:PORT or https://HOST:PORT of Bobchat, or {OTHERS} of others")
        })?;
        let dialect = match scheme {
            "http" | "ws" => Dialect::Bobchat(Format::Protobuf),
            "floor" => Dialect::Floor,
            "baseline" => Dialect::Baseline,
            "socketio" => Dialect::SocketIo,
            "centrifugo" => Dialect::Centrifugo,
            "tinode" => Dialect::Tinode,
            "https" | "wss" => {
                let (rest, file) = rest.split_once(AUTHORITIES).map_or((rest, None), |(rest, file)| (rest, Some(file)));
                let trust = file.map_or_else(Trust::default, |file| Trust::in_file(Path::new(file)));
                return Ok(Self::new(Dialect::Bobchat(Format::Protobuf), authority(rest)?).trusting(trust));
            }
            other => bail!("unknown scheme {other}: use http for Bobchat, or {OTHERS}"),
        };
        match rest.split_once(API_KEY) {
            Some((rest, api_key)) => Self::new(dialect, authority(rest)?).with_api_key(api_key),
            None => Ok(Self::new(dialect, authority(rest)?)),
        }
    }
}

/// Reads `host:port`.
fn authority(text: &str) -> anyhow::Result<String> {
    let authority = text.trim_end_matches('/');
    ensure!(authority.contains(':') && !authority.contains(['/', '?']), "a target ends with HOST:PORT");
    Ok(authority.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_tls_the_machine_is_trusted_or_a_file() {
        let target: Target = "wss://chat.example.org:443".parse().unwrap();
        assert_eq!(
            (target.to_string(), target.trust()),
            ("https://chat.example.org:443".into(), Some(&Trust::default()))
        );
        let target = target.with_authorities(Path::new("/a b/ca.pem")).unwrap();
        assert_eq!(target.url(), "https://chat.example.org:443?ca=/a b/ca.pem");
        assert_eq!(target.url().parse::<Target>().unwrap(), target, "as the other processes of a run read it");
        let plain: Target = "http://h:1".parse().unwrap();
        let refused = plain.with_authorities(Path::new("ca.pem")).unwrap_err().to_string();
        assert!(refused.contains("write https://"), "{refused}");
    }

    #[test]
    fn an_api_key_is_asked_with_and_not_shown() {
        let target: Target = "tinode://h:6060/?apikey=AQ_1".parse().unwrap();
        assert_eq!(
            (target.to_string(), target.url()),
            ("tinode://h:6060".into(), "tinode://h:6060?apikey=AQ_1".into())
        );
        assert_eq!(target.url().parse::<Target>().unwrap(), target);
        assert_eq!(target.request(1).unwrap().path, "/v0/channels?apikey=AQ_1");
        let default: Target = "tinode://h:6060".parse().unwrap();
        assert!(default.request(1).unwrap().path.ends_with(crate::dialect::TINODE_API_KEY));
        for text in
            ["tinode://h:6060?apikey=", "tinode://h:6060?apikey=a b", "http://h:1?apikey=AQ", "tinode://h:1?x=1"]
        {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
