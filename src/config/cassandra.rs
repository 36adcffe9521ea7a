use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use config::{Value, ValueKind};

use super::TlsFiles;
use super::login::Login;
use super::read::{Reader, Section, Setting};
use crate::adapters::cassandra::{Keyspace, Replication};

/// The port that Cassandra's clients use.
const PORT: u16 = 9042;

/// Copies of a row that make sense; more is a slip of the hand.
const FACTOR_MAX: u8 = 15;

/// The Cassandra that keeps what was said.
#[derive(Debug, Clone, PartialEq)]
pub struct Cassandra {
    /// Some of its nodes: those that are asked first.
    pub nodes: Vec<CassandraNode>,
    /// Where the tables are.
    pub keyspace: Keyspace,
    /// How many nodes keep each row, when the keyspace has to be made.
    pub replication: Replication,
    /// The datacenter whose nodes are asked.
    pub datacenter: Option<String>,
    /// Who signs in there.
    pub login: Login,
    /// The authorities that sign its nodes' certificates; with them connections are encrypted.
    pub certificates: Option<PathBuf>,
    /// Who this node is to its nodes; none where they do not ask.
    pub identity: Option<TlsFiles>,
    /// Connections to each of its nodes.
    pub connections_per_node: NonZeroUsize,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How long a connection may take to come up.
    pub connect_timeout: Duration,
}

impl Cassandra {
    /// Reads the section; `None` when it names no node.
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        reader.section("cassandra", Self::read_section)
    }

    fn read_section(section: &mut Section<'_>) -> Option<Self> {
        let nodes: Vec<CassandraNode> = section.get("nodes", Vec::new());
        let seconds = Duration::from_secs;
        let connections = section.within("connections_per_node", 2_u64, 1..=64);
        let certificates: Option<PathBuf> = section.get("certificates", None);
        let identity = TlsFiles::read(section, "client_certificate", "client_key");
        if identity.is_some() && certificates.is_none() {
            let expected = "a client's certificate is given and nobody to trust: give the authorities in certificates, \
                with which connections are encrypted";
            section.contradiction(&["client_certificate", "certificates"], expected);
        }
        let cassandra = Self {
            keyspace: section.get("keyspace", Keyspace::default()),
            replication: section.get("replication", Replication::Everywhere(3)),
            datacenter: section.get("datacenter", None),
            login: Login::read(section, !nodes.is_empty(), "nodes"),
            certificates,
            identity,
            connections_per_node: usize::try_from(connections)
                .ok()
                .and_then(NonZeroUsize::new)
                .unwrap_or(NonZeroUsize::MIN),
            request_timeout: section.within("request_timeout", seconds(6), seconds(1)..=seconds(60)),
            connect_timeout: section.within("connect_timeout", seconds(3), Duration::from_millis(100)..=seconds(60)),
            nodes,
        };
        (!cassandra.nodes.is_empty()).then_some(cassandra)
    }
}

/// The address of a Cassandra node: `host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CassandraNode(String);

impl FromStr for CassandraNode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_plain = |host: &str| host.chars().all(|letter| letter.is_ascii_alphanumeric() || ".-_".contains(letter));
        // An IPv6 address stands in brackets, or its colons would be taken for that of the port.
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => {
                host.parse::<std::net::Ipv6Addr>().map_err(drop)?;
                (format!("[{host}]"), port)
            }
            None => {
                let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
                let is_host = !host.is_empty() && is_plain(host);
                (is_host.then(|| host.to_owned()).ok_or(())?, port)
            }
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().map_err(drop)?,
            None if port.is_empty() => PORT,
            None => return Err(()),
        };
        Ok(Self(format!("{host}:{port}")))
    }
}

impl fmt::Display for CassandraNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Setting for CassandraNode {
    fn parse(value: &Value) -> Result<Self, String> {
        let expected = "expected addresses of nodes, such as \"10.0.0.7:9042\" or \"cassandra.example.org\"";
        String::parse(value)?.parse().map_err(|()| expected.to_owned())
    }

    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Setting for Keyspace {
    fn parse(value: &Value) -> Result<Self, String> {
        String::parse(value)?.parse().map_err(|error: crate::adapters::cassandra::InvalidKeyspace| error.to_string())
    }

    fn show(&self) -> String {
        format!("\"{}\"", self.as_str())
    }
}

/// `"3"` in every datacenter, or `"east:3, west:2"` in these.
impl Setting for Replication {
    fn parse(value: &Value) -> Result<Self, String> {
        let text = match &value.kind {
            ValueKind::I64(factor) => factor.to_string(),
            _ => String::parse(value)?,
        };
        let expected = format!(
            "expected copies of each row, 1 to {FACTOR_MAX}: \"3\" in every datacenter, or in those that are \
             named, such as \"east:3, west:2\""
        );
        replication(&text).ok_or(expected)
    }

    fn show(&self) -> String {
        match self {
            Self::Everywhere(factor) => format!("\"{factor}\""),
            Self::Datacenters(factors) => {
                let each = factors.iter().map(|(name, factor)| format!("{name}:{factor}"));
                format!("{:?}", each.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

fn replication(text: &str) -> Option<Replication> {
    let factor = |text: &str| text.trim().parse().ok().filter(|factor| (1..=FACTOR_MAX).contains(factor));
    if !text.contains(':') {
        return factor(text).map(Replication::Everywhere);
    }
    let named = text.split(',').map(|part| {
        let (name, copies) = part.split_once(':')?;
        let name = Some(name.trim().to_owned()).filter(|name| !name.is_empty())?;
        Some((name, factor(copies)?))
    });
    named.collect::<Option<BTreeMap<_, _>>>().map(Replication::Datacenters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_a_host_and_the_usual_port_unless_another_is_given() {
        let node = |text: &str| text.parse::<CassandraNode>().map(|node| node.to_string());
        assert_eq!(node("10.0.0.7"), Ok("10.0.0.7:9042".to_owned()));
        assert_eq!(node("c-1.example.org:9999"), Ok("c-1.example.org:9999".to_owned()));
        assert_eq!(node("[::1]"), Ok("[::1]:9042".to_owned()));
        assert_eq!(node("[::1]:1"), Ok("[::1]:1".to_owned()));
        for bad in ["", ":9042", "a:", "a:b", "a:99999", "::1", "[a]:1", "[::1]1", "a b", "u@h"] {
            assert_eq!(node(bad), Err(()), "{bad}");
        }
    }

    #[test]
    fn copies_are_counted_everywhere_or_by_datacenter() {
        assert_eq!(replication("3"), Some(Replication::Everywhere(3)));
        let named = BTreeMap::from([("east".to_owned(), 3), ("west".to_owned(), 2)]);
        assert_eq!(replication("east:3, west: 2"), Some(Replication::Datacenters(named)));
        for bad in ["", "0", "16", "x", "east:", ":3", "east:3,", "east:0"] {
            assert_eq!(replication(bad), None, "{bad}");
        }
    }
}
