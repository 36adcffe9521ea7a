//! Servers that run already and whose addresses are given: they are neither started nor restarted here.

use anyhow::{Context as _, ensure};
use clap::Args;

use super::cast::Contestant;
use crate::client::Target;
use crate::dialect::{Dialect, TINODE_API_KEY};
use crate::process::Process;

/// Where they are; docs/loadtest.md says how they are to be configured.
#[derive(Debug, Clone, Args)]
pub(super) struct Given {
    /// A Centrifugo that runs, ws://HOST:PORT; docs/loadtest.md says how it is to be configured.
    #[arg(long, value_name = "URL", value_parser = centrifugo)]
    centrifugo: Option<Target>,
    /// Its process, if it is on this machine: without it, what it uses is not known.
    #[arg(long, value_name = "PID", requires = "centrifugo")]
    centrifugo_pid: Option<u32>,
    /// A Tinode that runs, ws://HOST:PORT; docs/loadtest.md says how it is to be configured.
    #[arg(long, value_name = "URL", value_parser = tinode)]
    tinode: Option<Target>,
    /// Its API key; without this, the one that Tinode comes with.
    #[arg(long, value_name = "KEY", requires = "tinode", default_value = TINODE_API_KEY)]
    tinode_api_key: String,
    /// Its process, if it is on this machine: without it, what it uses is not known. Its database is another process
    /// and not counted.
    #[arg(long, value_name = "PID", requires = "tinode")]
    tinode_pid: Option<u32>,
}

impl Given {
    /// All whose addresses are given.
    pub(super) fn all(&self) -> impl Iterator<Item = Contestant> + use<> {
        self.centrifugo().into_iter().chain(self.tinode())
    }

    /// Centrifugo, if its address is given.
    pub(super) fn centrifugo(&self) -> Option<Contestant> {
        self.centrifugo.is_some().then_some(Contestant::Centrifugo)
    }

    /// Tinode, if its address is given.
    pub(super) fn tinode(&self) -> Option<Contestant> {
        self.tinode.is_some().then_some(Contestant::Tinode)
    }

    /// Where the Centrifugo is, and its process if that was named.
    ///
    /// # Errors
    /// When none was given.
    pub(super) fn find_centrifugo(&self) -> anyhow::Result<(Target, Option<Process>)> {
        let target = self.centrifugo.clone().context("no --centrifugo was given")?;
        Ok((target, self.centrifugo_pid.map(Process::new)))
    }

    /// Where the Tinode is, and its process if that was named.
    ///
    /// # Errors
    /// When none was given, or its API key is none.
    pub(super) fn find_tinode(&self) -> anyhow::Result<(Target, Option<Process>)> {
        let target = self.tinode.clone().context("no --tinode was given")?;
        Ok((target.with_api_key(&self.tinode_api_key)?, self.tinode_pid.map(Process::new)))
    }
}

fn centrifugo(text: &str) -> anyhow::Result<Target> {
    target(Dialect::Centrifugo, text)
}

fn tinode(text: &str) -> anyhow::Result<Target> {
    ensure!(!text.contains("apikey="), "the API key is given with --tinode-api-key");
    target(Dialect::Tinode, text)
}

/// Reads where a server is: what stands before and after HOST:PORT is known.
fn target(dialect: Dialect, text: &str) -> anyhow::Result<Target> {
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = authority.split_once('/').map_or(authority, |(authority, _)| authority);
    format!("{}://{authority}", dialect.scheme()).parse()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        given: Given,
    }

    fn given(arguments: &[&str]) -> Result<Given, clap::Error> {
        CommandLine::try_parse_from(["bench-peers"].iter().chain(arguments)).map(|line| line.given)
    }

    #[test]
    fn a_server_is_found_however_its_address_is_written() {
        for text in ["ws://h:8000/connection/websocket", "http://h:8000", "h:8000", "centrifugo://h:8000/"] {
            let target = centrifugo(text).unwrap();
            assert_eq!((target.dialect, target.authority.as_str()), (Dialect::Centrifugo, "h:8000"), "{text}");
        }
        let target = tinode("ws://h:6060/v0/channels").unwrap();
        assert_eq!((target.dialect, target.authority.as_str()), (Dialect::Tinode, "h:6060"));
        assert!(centrifugo("ws://nowhere/").is_err() && tinode("ws://h:6060/v0/channels?apikey=AQ").is_err());
    }

    #[test]
    fn those_take_part_whose_addresses_are_given() {
        assert_eq!(given(&[]).unwrap().all().count(), 0);
        let both = given(&["--centrifugo", "h:8000", "--tinode", "h:6060"]).unwrap();
        assert_eq!(both.all().collect::<Vec<_>>(), [Contestant::Centrifugo, Contestant::Tinode]);
        assert!(given(&["--tinode-pid", "7"]).is_err(), "of what?");
    }

    #[test]
    fn tinode_is_asked_with_its_own_key_unless_another_is_given() {
        let url = |arguments: &[&str]| given(arguments).unwrap().find_tinode().unwrap().0.url();
        assert_eq!(url(&["--tinode", "h:6060"]), format!("tinode://h:6060?apikey={TINODE_API_KEY}"));
        assert_eq!(url(&["--tinode", "h:6060", "--tinode-api-key", "AQ"]), "tinode://h:6060?apikey=AQ");
    }
}
