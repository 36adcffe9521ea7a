//! A Redis as its operator runs it: each command is in a file before it is answered.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::Signal;

use crate::bench::child::guarded;
use crate::ports::free_address;
use crate::process::Process;
use crate::redis::{Connection, Value};

/// A server that does not answer by then has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A Redis. Dropping it kills it.
pub(in super::super) struct RedisServer {
    program: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts one with its data in `folder`, which is made.
    ///
    /// # Errors
    /// When it does not answer.
    pub(in super::super) fn start(program: &Path, folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        let mut server = Self { program: program.to_owned(), folder, address: free_address()?, child: None };
        server.run()?;
        Ok(server)
    }

    /// Starts it again, at the same place, with what its folder holds.
    ///
    /// # Errors
    /// When it does not answer.
    pub(in super::super) fn run(&mut self) -> anyhow::Result<()> {
        let mut command = guarded(&self.program);
        command.args(["--bind", "127.0.0.1", "--port", &self.address.port().to_string(), "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "no", "--dir"]).arg(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().context("could not run setpriv of util-linux")?);
        let begin = Instant::now();
        while self.call(&["PING"]).is_err() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            ensure!(
                ended.is_none() && begin.elapsed() < PATIENCE,
                "{} does not start: scripts/need redis installs one, or name another with --redis-server",
                self.program.display()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    pub(in super::super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kills it: no farewell, nothing saved.
    ///
    /// # Errors
    /// When it had ended before.
    pub(in super::super) fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("Redis does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Removes what it held; it must not run.
    ///
    /// # Errors
    /// When the files cannot be removed.
    pub(in super::super) fn forget(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_dir_all(self.folder.join("appendonlydir"))?)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub(in super::super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        self.process()?.signal(signal)
    }

    /// Its process.
    ///
    /// # Errors
    /// When it has ended.
    pub(in super::super) fn process(&self) -> anyhow::Result<Process> {
        Ok(Process::new(self.child.as_ref().context("Redis does not run")?.id()))
    }

    /// Has it do something.
    ///
    /// # Errors
    /// When it refuses, or does not answer.
    pub(in super::super) fn call(&self, words: &[&str]) -> anyhow::Result<Value> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        Connection::open(self.address)?.call(&words)
    }

    /// A number that it answers.
    ///
    /// # Errors
    /// When it does not.
    pub(in super::super) fn number(&self, words: &[&str]) -> anyhow::Result<u64> {
        Ok(self.call(words)?.into_text()?.trim().parse()?)
    }

    /// The ports that the connections come from on which somebody hears what is published.
    ///
    /// # Errors
    /// When it does not answer.
    pub(in super::super) fn subscribers(&self) -> anyhow::Result<BTreeSet<u16>> {
        Ok(ports(&self.call(&["CLIENT", "LIST", "TYPE", "pubsub"])?.into_text()?))
    }

    /// The keys that match a pattern.
    ///
    /// # Errors
    /// When it does not answer.
    pub(in super::super) fn keys(&self, pattern: &str) -> anyhow::Result<Vec<String>> {
        match self.call(&["KEYS", pattern])? {
            Value::Array(keys) => keys.into_iter().map(Value::into_text).collect(),
            Value::Bytes(_) => Ok(Vec::new()),
        }
    }

    /// A field of `INFO`; empty when there is none.
    ///
    /// # Errors
    /// When it does not answer.
    pub(in super::super) fn info(&self, section: &str, field: &str) -> anyhow::Result<String> {
        let info = self.call(&["INFO", section])?.into_text()?;
        let value = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(value.unwrap_or_default().trim().to_owned())
    }
}

/// Where the connections of a `CLIENT LIST` come from.
fn ports(list: &str) -> BTreeSet<u16> {
    let addresses = list.split_whitespace().filter_map(|field| field.strip_prefix("addr="));
    addresses.filter_map(|address| address.parse::<SocketAddr>().ok()).map(|address| address.port()).collect()
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_known_by_the_ports_that_they_come_from() {
        let list = "id=3 addr=127.0.0.1:50112 laddr=127.0.0.1:6379 fd=8 name= sub=2\n\
                    id=9 addr=127.0.0.1:50200 laddr=127.0.0.1:6379 fd=9 name=addr sub=1\n";
        assert_eq!(ports(list), BTreeSet::from([50_112, 50_200]));
        assert_eq!(ports(""), BTreeSet::new());
    }
}
