//! A Redis of the bench's own.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::super::child::{Running, free_address, guarded};
use crate::process::Process;
use crate::redis::Connection;

/// A server that does not answer by then has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A Redis that runs, as docs/operations.md advises: on disk, and never evicting.
pub(super) struct Redis {
    child: Running,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Redis {
    /// Starts one.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) fn start() -> anyhow::Result<Self> {
        let (folder, address) = (tempfile::tempdir()?, free_address()?);
        let mut command = guarded("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string(), "--dir"]).arg(folder.path());
        command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]);
        command.args(["--maxmemory-policy", "noeviction"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("could not run setpriv")?;
        let redis = Self { child: Running(child), address, _folder: folder };
        let begin = Instant::now();
        while redis.connect().and_then(|mut connection| connection.call(&[b"PING"])).is_err() {
            ensure!(begin.elapsed() < PATIENCE, "redis-server does not start: scripts/need redis installs it");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(redis)
    }

    pub(super) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    pub(super) fn process(&self) -> Process {
        Process::new(self.child.0.id())
    }

    pub(super) fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(self.address)
    }

    /// The bytes that its data takes.
    ///
    /// # Errors
    /// When it does not say.
    pub(super) fn used_bytes(&self) -> anyhow::Result<u64> {
        let info = self.connect()?.call(&[b"INFO", b"memory"])?.into_text()?;
        let used =
            info.lines().find_map(|line| line.strip_prefix("used_memory:")).context("INFO has no used_memory")?;
        Ok(used.trim().parse()?)
    }
}
