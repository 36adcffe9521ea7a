//! A Cassandra of the harness's own: one node.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::bench::child::free_address;
use crate::process::Process;

/// A server that does not serve by then has failed; usual are 10 s.
const START_MAX: Duration = Duration::from_secs(180);

/// How a Cassandra runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As an operator's: it waits for the disk, and is compiled for speed.
    AsOperated,
    /// Quick to start: it waits for no disk, and its folder is removed when it ends.
    Quick,
}

/// A Cassandra that runs. It ends when its starter's standard input is closed, however this process ends.
pub(crate) struct Cassandra {
    starter: Child,
    address: SocketAddr,
    server: u32,
}

impl Cassandra {
    /// Starts one with its data in `folder`.
    ///
    /// # Errors
    /// When it does not serve.
    pub(crate) fn start(folder: &Path, manner: Manner) -> anyhow::Result<Self> {
        let (address, storage) = (free_address()?, free_address()?);
        let script = "scripts/cassandra/start";
        let mut command = match manner {
            // It stands for servers of its own: on the cores that it shares with nodes here it takes what they leave.
            Manner::AsOperated => Command::new("nice"),
            Manner::Quick => Command::new(script),
        };
        if manner == Manner::AsOperated {
            command.args(["-n", "19", script, "--keep", "--fast"]);
        }
        command.arg(folder).arg("127.0.0.1").args([address.port().to_string(), storage.port().to_string()]);
        command.arg(storage.to_string()).stdin(Stdio::piped());
        let starter = command.spawn().context("could not run scripts/cassandra/start: run in the repository's root")?;
        let mut cassandra = Self { starter, address, server: 0 };
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = cassandra.starter.try_wait()?;
            ensure!(ended.is_none(), "Cassandra did not start: scripts/need cassandra installs it");
            ensure!(begin.elapsed() < START_MAX, "Cassandra does not serve after {START_MAX:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
        cassandra.server = java_below(cassandra.starter.id())?;
        Ok(cassandra)
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn process(&self) -> Process {
        Process::new(self.server)
    }

    /// Stops it where it stands: its sockets stay open and answer nothing. It goes on when the handle is dropped.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn pause(&self) -> anyhow::Result<Paused> {
        let server = i32::try_from(self.server).ok().and_then(Pid::from_raw).context("no such process")?;
        kill_process(server, Signal::STOP).context("Cassandra has ended")?;
        Ok(Paused(server))
    }
}

impl Drop for Cassandra {
    fn drop(&mut self) {
        // It ends in good order, and its starter then.
        drop(self.starter.stdin.take());
        // Fails only for one that was killed before.
        drop(self.starter.wait());
    }
}

/// A Cassandra that stands still.
pub(crate) struct Paused(Pid);

impl Drop for Paused {
    fn drop(&mut self) {
        // It may have been killed meanwhile.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

/// The process called java that `parent` started.
fn java_below(parent: u32) -> anyhow::Result<u32> {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
    let mut children = children.split_whitespace().filter_map(|id| id.parse().ok());
    let is_java =
        |id: &u32| std::fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim() == "java");
    children.find(is_java).context("the script that starts Cassandra has no java below it")
}
