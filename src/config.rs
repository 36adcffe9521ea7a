//! The server's configuration: defaults, then a file, then the environment, then flags; and over all of them what
//! operators change while nodes run ([`Layers`]).
//!
//! What an operator wrote is raw ([`Sources`]): text and numbers of unknown worth. [`Config`] is what came
//! of it: typed, within bounds, without contradictions. Between the two every fault is collected, so that
//! an operator mends them all at once.
//!
//! `config.toml` in the repository lists every key; a test holds it against this module.

// Reads what people wrote: a sum that does not fit has to be decided about.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod auth;
mod cassandra;
mod cluster;
mod fault;
mod layers;
mod limits;
mod login;
mod network;
mod production;
mod quote;
mod read;
mod redis;
mod server;
mod sources;
mod store;
mod telemetry;
mod units;

pub use auth::{Auth, ExternalIssuer, KeySource};
pub use cassandra::{Cassandra, CassandraNode};
pub use cluster::{Ack, Cluster};
pub use fault::{Fault, Faults};
pub use layers::{LIVE_KEYS, Layers, Mutability};
pub use limits::Limits;
pub use login::Login;
pub use network::Network;
pub use read::Effective;
pub use redis::{Redis, RedisServers, RedisUrl};
pub use server::{Origin, Server, TlsFiles};
pub use sources::{Overrides, Sources};
pub use store::Store;
pub use telemetry::{CollectorUrl, LogFormat, Telemetry};

use std::path::PathBuf;

use read::Reader;

/// Everything that can be configured, valid as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where the server listens and for whom.
    pub server: Server,
    /// Where it keeps its data.
    pub store: Store,
    /// The services that it shares with other nodes; `None`: it is alone and keeps everything itself.
    pub cluster: Option<Cluster>,
    /// Who may sign in and for how long.
    pub auth: Auth,
    /// How much anybody may ask for.
    pub limits: Limits,
    /// What it tells about itself.
    pub telemetry: Telemetry,
}

impl Config {
    /// Reads the configuration from `sources`.
    ///
    /// # Errors
    /// [`Faults`]: every key that is unknown, every value that is not allowed and every contradiction.
    pub fn load(sources: &Sources) -> Result<Self, Faults> {
        Self::explain(sources).map(|(config, _)| config)
    }

    /// Reads the configuration and also says what holds for each key, and where that came from.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn explain(sources: &Sources) -> Result<(Self, Vec<Effective>), Faults> {
        Self::read(Reader::new(sources.collect()?))
    }

    /// Reads the text of a file alone.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn explain_text(text: &str) -> Result<(Self, Vec<Effective>), Faults> {
        Self::read(Reader::new(Sources::default().collect_over(Some((PathBuf::new(), text.to_owned())))?))
    }

    fn read(mut reader: Reader) -> Result<(Self, Vec<Effective>), Faults> {
        let config = Self {
            server: Server::read(&mut reader),
            store: Store::read(&mut reader),
            cluster: Cluster::read(&mut reader),
            auth: Auth::read(&mut reader),
            limits: Limits::read(&mut reader),
            telemetry: Telemetry::read(&mut reader),
        };
        config.judge(&mut reader);
        let effective = reader.finish()?;
        Ok((config, effective))
    }

    /// Judges what no section shows by itself.
    fn judge(&self, reader: &mut Reader) {
        if self.server.production {
            production::judge(self, reader);
        }
    }
}

#[cfg(test)]
mod tests;
