//! A Cassandra of the harness's own: one node.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::ports::free_address;
use crate::process::Process;

/// A server that does not serve by then has failed; usual are 10 s.
const START_MAX: Duration = Duration::from_secs(180);

/// How often it is looked whether it serves.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How a Cassandra runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As an operator's: it waits for the disk, and is compiled for speed.
    AsOperated,
    /// Quick to start: it waits for no disk, and its folder is removed when it ends.
    Quick,
    /// As quick, but for what it takes to be killed and started again with all that it ever answered.
    Killable,
}

/// A Cassandra that runs. It ends when its starter's standard input is closed, however this process ends.
pub(crate) struct Cassandra {
    manner: Manner,
    folder: PathBuf,
    address: SocketAddr,
    storage: SocketAddr,
    began: Instant,
    /// The script that runs it; none while it is down.
    starter: Option<Child>,
    /// Its process, once it serves.
    server: Option<u32>,
}

impl Cassandra {
    /// Starts one with its data in `folder`.
    ///
    /// # Errors
    /// When it does not serve.
    pub(crate) fn start(folder: &Path, manner: Manner) -> anyhow::Result<Self> {
        let (address, storage, began) = (free_address()?, free_address()?, Instant::now());
        let folder = folder.to_owned();
        let mut cassandra = Self { manner, folder, address, storage, began, starter: None, server: None };
        cassandra.run()?;
        while !cassandra.serves()? {
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(cassandra)
    }

    /// Starts it again, at the same place, with what its folder holds, and does not wait until it serves.
    ///
    /// # Errors
    /// When it runs, or cannot be started.
    pub(crate) fn run(&mut self) -> anyhow::Result<()> {
        ensure!(self.starter.is_none(), "Cassandra runs");
        let script = "scripts/cassandra/start";
        let mut command = match self.manner {
            // It stands for servers of its own: on the cores that it shares with nodes here it takes what they leave.
            Manner::AsOperated => Command::new("nice"),
            Manner::Quick | Manner::Killable => Command::new(script),
        };
        match self.manner {
            Manner::AsOperated => command.args(["-n", "19", script, "--keep", "--fast"]),
            Manner::Quick => &mut command,
            Manner::Killable => command.arg("--killable"),
        };
        let ports = [self.address.port().to_string(), self.storage.port().to_string()];
        command.arg(&self.folder).arg("127.0.0.1").args(ports).arg(self.storage.to_string()).stdin(Stdio::piped());
        let starter = command.spawn().context("could not run scripts/cassandra/start: run in the repository's root")?;
        (self.starter, self.began) = (Some(starter), Instant::now());
        Ok(())
    }

    /// Whether it takes connections, after it was started.
    ///
    /// # Errors
    /// When it ended, or does not serve for too long.
    pub(crate) fn serves(&mut self) -> anyhow::Result<bool> {
        let starter = self.starter.as_mut().context("Cassandra does not run")?;
        if self.server.is_some() {
            return Ok(true);
        }
        if TcpStream::connect(self.address).is_ok() {
            self.server = Some(java_below(starter.id())?);
            return Ok(true);
        }
        ensure!(starter.try_wait()?.is_none(), "Cassandra did not start: scripts/need cassandra installs it");
        ensure!(self.began.elapsed() < START_MAX, "Cassandra does not serve after {START_MAX:?}");
        Ok(false)
    }

    /// Whether it was killed and not started again.
    pub(crate) const fn is_down(&self) -> bool {
        self.starter.is_none()
    }

    /// Ends it as a crash does; says how its starter ended, which a shell does by 128 and the number of the signal.
    ///
    /// # Errors
    /// When it does not run, or is not there to be killed.
    pub(crate) fn kill(&mut self) -> anyhow::Result<ExitStatus> {
        ensure!(self.manner == Manner::Killable, "this Cassandra cannot be started again once it was killed");
        self.process()?.signal(Signal::KILL)?;
        self.server = None;
        let mut starter = self.starter.take().context("Cassandra does not run")?;
        // Open until then: or it could be what ends the script, in good order.
        let input = starter.stdin.take();
        let status = starter.wait()?;
        drop(input);
        Ok(status)
    }

    /// How many writes it found in its commit log when it started.
    ///
    /// # Errors
    /// When its log does not say.
    pub(crate) fn replayed(&self) -> anyhow::Result<u64> {
        let log = std::fs::read_to_string(self.folder.join("log"))?;
        let line = log.lines().find_map(|line| line.split_once("Log replay complete, "));
        let Some((_, count)) = line else { bail!("Cassandra does not say that it has read its commit log") };
        Ok(count.split_whitespace().next().unwrap_or_default().parse()?)
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process, while it serves.
    pub(crate) const fn pid(&self) -> Option<u32> {
        self.server
    }

    /// The same, to be looked at or sent signals.
    ///
    /// # Errors
    /// When it does not serve.
    pub(crate) fn process(&self) -> anyhow::Result<Process> {
        Ok(Process::new(self.server.context("Cassandra does not serve")?))
    }

    /// Stops it where it stands: its sockets stay open and answer nothing. It goes on when the handle is dropped.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn pause(&self) -> anyhow::Result<Paused> {
        let server = self.server.and_then(|server| i32::try_from(server).ok());
        let server = server.and_then(Pid::from_raw).context("no such process")?;
        kill_process(server, Signal::STOP).context("Cassandra has ended")?;
        Ok(Paused(server))
    }
}

impl Drop for Cassandra {
    fn drop(&mut self) {
        let Some(mut starter) = self.starter.take() else { return };
        // It ends in good order, and its starter then.
        drop(starter.stdin.take());
        // Fails only for one that was killed before.
        drop(starter.wait());
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
