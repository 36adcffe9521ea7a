//! What a run is pointed at.

use std::fmt;
use std::str::FromStr;

use anyhow::{bail, ensure};
use bobchat_proto::codec::Format;

use crate::dialect::Dialect;

/// The schemes beside Bobchat's.
const OTHERS: &str = "floor://, baseline://, socketio:// or centrifugo://";

/// A server under load: `http://HOST:PORT` for Bobchat, `floor://`, `baseline://`, `socketio://` and `centrifugo://` for
/// what it is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// What the server speaks; for Bobchat the format is chosen beside the target.
    pub(crate) dialect: Dialect,
    /// `host:port`.
    pub(crate) authority: String,
}

impl Target {
    /// The same server, spoken to in `format` if it is Bobchat.
    #[must_use]
    pub(crate) fn in_format(mut self, format: Format) -> Self {
        if let Dialect::Bobchat(_) = self.dialect {
            self.dialect = Dialect::Bobchat(format);
        }
        self
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.dialect.scheme(), self.authority)
    }
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let Some((scheme, authority)) = text.split_once("://") else {
            bail!("a target is http://HOST:PORT of Bobchat, or {OTHERS} of others");
        };
        let dialect = match scheme {
            "http" | "ws" => Dialect::Bobchat(Format::Protobuf),
            "floor" => Dialect::Floor,
            "baseline" => Dialect::Baseline,
            "socketio" => Dialect::SocketIo,
            "centrifugo" => Dialect::Centrifugo,
            "https" | "wss" => bail!("the harness speaks no TLS: point it at the server behind the proxy"),
            other => bail!("unknown scheme {other}: use http for Bobchat, or {OTHERS}"),
        };
        let authority = authority.trim_end_matches('/').to_owned();
        ensure!(authority.contains(':') && !authority.contains('/'), "a target ends with HOST:PORT");
        Ok(Self { dialect, authority })
    }
}
