use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use config::Value;

use super::TlsFiles;
use super::login::Login;
use super::read::{Reader, Section, Setting};

/// Events of a room that may stay in Redis behind what is stored; more is memory for nothing, since a node that
/// is further behind reads the store.
const TAIL_EVENTS_MAX: u64 = 10_000;

/// The Redis that orders what is said and carries it between nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Redis {
    /// Where it is.
    pub servers: RedisServers,
    /// Who signs in there.
    pub login: Login,
    /// The authorities that sign its servers' certificates, instead of those that the machine trusts.
    pub certificates: Option<PathBuf>,
    /// Who this node is to its servers; none where they do not ask.
    pub identity: Option<TlsFiles>,
    /// How long a command may take.
    pub timeout: Duration,
    /// Stored events that stay in Redis behind each room.
    pub tail_events: u64,
}

/// One server, or a cluster of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisServers {
    /// One server.
    One(RedisUrl),
    /// Some nodes of a cluster; the others are found through them.
    Cluster(Vec<RedisUrl>),
}

impl Redis {
    /// Reads the section; `None` when it names no server.
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        reader.section("redis", Self::read_section)
    }

    fn read_section(section: &mut Section<'_>) -> Option<Self> {
        let url: Option<RedisUrl> = section.get("url", None);
        let cluster: Vec<RedisUrl> = section.get_if("cluster", Vec::new(), |nodes| without_database(nodes));
        let login = Login::read(section, url.is_some() || !cluster.is_empty(), "url");
        let certificates: Option<PathBuf> = section.get("certificates", None);
        let in_clear = |url: &RedisUrl| !url.is_encrypted();
        if certificates.is_some() && url.iter().chain(&cluster).any(in_clear) {
            let expected = "certificates are given for a connection in the clear: write rediss:// for TLS";
            section.contradiction(&["certificates", "url", "cluster"], expected);
        }
        let identity = TlsFiles::read(section, "client_certificate", "client_key");
        if identity.is_some() && url.iter().chain(&cluster).any(in_clear) {
            let expected = "a client's certificate is given for a connection in the clear: write rediss:// for TLS";
            section.contradiction(&["client_certificate", "url", "cluster"], expected);
        }
        let timeout = Duration::from_millis(100)..=Duration::from_secs(60);
        let timeout = section.within("timeout", Duration::from_secs(2), timeout);
        let tail_events = section.within("tail_events", 32, 0..=TAIL_EVENTS_MAX);
        let servers = match (url, cluster) {
            (None, cluster) if cluster.is_empty() => return None,
            (None, cluster) => RedisServers::Cluster(cluster),
            (Some(url), cluster) if cluster.is_empty() => RedisServers::One(url),
            (Some(url), _) => {
                let expected = "both are given: url is for one server, cluster for nodes of a Redis Cluster";
                section.contradiction(&["url", "cluster"], expected);
                RedisServers::One(url)
            }
        };
        Some(Self { servers, login, certificates, identity, timeout, tail_events })
    }
}

/// Databases are a thing of single servers.
fn without_database(nodes: &[RedisUrl]) -> Result<(), String> {
    match nodes.iter().all(|url| url.database().is_none()) {
        true => Ok(()),
        false => Err("expected addresses without a database: a Redis Cluster has only one".to_owned()),
    }
}

/// The address of a Redis server: `redis://host:port/database`, or `rediss://` for TLS. It holds no password, so
/// that it can be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

impl RedisUrl {
    /// The address as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address with a login in it.
    #[must_use]
    pub fn with_login(&self, login: &Login) -> String {
        let Some(password) = &login.password else { return self.0.clone() };
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("redis", &self.0));
        let user = login.username.as_deref().unwrap_or_default();
        format!("{scheme}://{}:{}@{rest}", percent_encode(user), percent_encode(password.reveal()))
    }

    /// Whether a connection to it is encrypted.
    fn is_encrypted(&self) -> bool {
        self.0.starts_with("rediss://")
    }

    fn database(&self) -> Option<&str> {
        let (_, rest) = self.0.split_once("://")?;
        rest.split_once('/').map(|(_, database)| database).filter(|database| !database.is_empty())
    }
}

impl FromStr for RedisUrl {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let rest = text.strip_prefix("redis://").or_else(|| text.strip_prefix("rediss://")).ok_or(())?;
        let (server, database) = rest.split_once('/').unwrap_or((rest, ""));
        let is_plain =
            |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || ".-:[]_".contains(letter));
        let is_server = !server.is_empty() && !server.starts_with(':') && is_plain(server);
        let is_database = database.is_empty() || database.parse::<u16>().is_ok();
        if is_server && is_database { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Setting for RedisUrl {
    fn parse(value: &Value) -> Result<Self, String> {
        let text = String::parse(value)?;
        if text.contains('@') {
            return Err("expected an address without a login: put it into redis.username and redis.password".to_owned());
        }
        let expected = "expected an address such as \"redis://10.0.0.5:6379\", or \"rediss://..\" for TLS";
        text.parse().map_err(|()| expected.to_owned())
    }

    fn show(&self) -> String {
        format!("\"{self}\"")
    }

    /// A password may stand in what is no good address.
    fn show_refused(_: &Value) -> String {
        "\"***\"".to_owned()
    }
}

/// Writes what would mean something else in an address as `%XX` (RFC 3986, section 2.1).
fn percent_encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn an_address_is_a_server_and_perhaps_a_database() {
        for good in ["redis://a", "redis://10.0.0.5:6379", "rediss://r.example.org:6380/3", "redis://[::1]:6379/"] {
            assert!(good.parse::<RedisUrl>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "a:6379",
            "http://a",
            "redis://",
            "redis://:6379",
            "redis://a/b",
            "redis://a/1/2",
            "rediss://a#insecure",
            "redis://a?x=1",
        ] {
            assert!(bad.parse::<RedisUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_login_is_put_into_the_address_for_the_driver_alone() {
        let url: RedisUrl = "rediss://r:6380/1".parse().unwrap();
        let login = Login { username: Some("no:de".to_owned()), password: Some(Secret::new("p@ss/word")) };
        assert_eq!(url.with_login(&login), "rediss://no%3Ade:p%40ss%2Fword@r:6380/1");
        let login = Login { username: None, ..login };
        assert_eq!(url.with_login(&login), "rediss://:p%40ss%2Fword@r:6380/1");
        assert_eq!(url.with_login(&Login::default()), "rediss://r:6380/1");
    }
}
