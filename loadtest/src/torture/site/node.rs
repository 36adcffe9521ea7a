//! A Bobchat as its operator runs it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::Signal;

use super::clock::{Clock, off_by};
use crate::bench::child::guarded;
use crate::metrics::Metrics;
use crate::ports::free_address;
use crate::process::Process;

/// A node that is not ready by then has failed; on a busy machine, in a debug build.
const START_MAX: Duration = Duration::from_secs(120);

/// How long a page of the operator's listener may take.
const PAGE_MAX: Duration = Duration::from_secs(5);

/// Limits that are not what a run is about: clients here come from one address and all at once.
const SETTINGS: [(&str, &str); 12] = [
    ("LIMITS__SENDS_BURST", "1000000"),
    ("LIMITS__SENDS_PER_SECOND", "1000000"),
    ("LIMITS__FRAMES_BURST", "1000000"),
    ("LIMITS__FRAME_BYTES_PER_SECOND", "1GiB"),
    ("LIMITS__PAGES_BURST", "1000000"),
    ("LIMITS__PAGES_PER_SECOND", "1000000"),
    ("LIMITS__GUESTS_BURST", "1000"),
    ("LIMITS__CONNECTIONS_PER_ADDRESS_BEFORE_AUTH", "2000"),
    ("LIMITS__REQUESTS_IN_FLIGHT", "1000"),
    ("AUTH__ACCESS_TOKEN_LIFETIME", "1d"),
    ("SERVER__WORKERS", "2"),
    ("SERVER__DRAIN_TIMEOUT", "5s"),
];

/// A node. Dropping it kills it.
pub(in super::super) struct Node {
    number: usize,
    pub(in super::super) address: SocketAddr,
    admin: SocketAddr,
    program: PathBuf,
    data: PathBuf,
    log: PathBuf,
    settings: Vec<(String, String)>,
    plant: Option<String>,
    /// A clock that can be stepped, where a run wants that.
    pub(in super::super) clock: Option<Clock>,
    child: Option<Child>,
}

impl Node {
    /// Starts a node with settings as in the environment, without waiting until it is ready.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(in super::super) fn spawn(
        number: usize,
        program: &Path,
        data: PathBuf,
        log: PathBuf,
        settings: Vec<(String, String)>,
        plant: Option<String>,
        clock: Option<Clock>,
    ) -> anyhow::Result<Self> {
        let (address, admin) = (free_address()?, free_address()?);
        let program = program.to_owned();
        let mut node = Self { number, address, admin, program, data, log, settings, plant, clock, child: None };
        node.run()?;
        Ok(node)
    }

    /// Starts it again, at the same place, with what its folder holds.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(in super::super) fn run(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "node {} runs", self.number);
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = guarded(&self.program);
        let (listen, admin) = (self.address.to_string(), self.admin.to_string());
        // A configuration file in the working directory must not matter.
        command.args(["--config", "/dev/null", "--listen", &listen, "--admin-listen", &admin]);
        command.arg("--data").arg(std::path::absolute(&self.data)?);
        let settings = self.settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        for (key, value) in SETTINGS.iter().copied().chain(settings) {
            command.env(format!("BOBCHAT__{key}"), value);
        }
        command.env("BOBCHAT_PLANT", self.plant.as_deref().unwrap_or_default());
        if let Some(clock) = &self.clock {
            clock.rule(&mut command);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn().context("could not run setpriv of util-linux")?);
        Ok(())
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// When it ends, or does not become ready.
    pub(in super::super) fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let begin = Instant::now();
        while !self.page("/readyz").is_ok_and(|page| page.starts_with("HTTP/1.1 200")) {
            let log = self.log.display();
            if let Some(status) = self.child.as_mut().context("it was not started")?.try_wait()? {
                bail!("node {} ended with {status} before it was ready; see {log}", self.number);
            }
            ensure!(begin.elapsed() < START_MAX, "node {} is not ready after {START_MAX:?}; see {log}", self.number);
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Holds it to the bug that was asked for, or to none.
    ///
    /// # Errors
    /// When it is a build that cannot have it.
    pub(in super::super) fn must_have_planted(&self, plant: Option<&str>) -> anyhow::Result<()> {
        let said = self.alive()?;
        let planted = said.split("planted: ").nth(1).map_or("none", str::trim);
        ensure!(
            planted == plant.unwrap_or("none"),
            "{} has planted: {planted}, not {}; a build for tests can: cargo build -p bobchat --features planted-bugs",
            self.program.display(),
            plant.unwrap_or("none")
        );
        Ok(())
    }

    /// What it says of itself on `/healthz`.
    ///
    /// # Errors
    /// When it does not answer.
    pub(in super::super) fn alive(&self) -> anyhow::Result<String> {
        let page = self.page("/healthz")?;
        Ok(page.split("\r\n\r\n").nth(1).unwrap_or_default().trim().to_owned())
    }

    /// How far its clock is from the harness's, in seconds; none when it does not say.
    pub(in super::super) fn clock_is_off_by(&self) -> Option<i64> {
        off_by(&self.page("/healthz").ok()?, crate::time::wall_micros() / 1_000_000)
    }

    /// All that it counts.
    ///
    /// # Errors
    /// When it does not say.
    pub(in super::super) fn metrics(&self) -> anyhow::Result<Metrics> {
        Ok(Metrics::new(self.page("/metrics")?))
    }

    fn page(&self, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.admin)?;
        stream.set_read_timeout(Some(PAGE_MAX))?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin);
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Its process, while it has one.
    pub(in super::super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Ends it as a crash does; says how it ended.
    ///
    /// # Errors
    /// When it had ended before.
    pub(in super::super) fn kill(&mut self) -> anyhow::Result<ExitStatus> {
        let mut child = self.child.take().with_context(|| format!("node {} does not run", self.number))?;
        child.kill()?;
        Ok(child.wait()?)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub(in super::super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Process::new(self.pid().with_context(|| format!("node {} does not run", self.number))?).signal(signal)
    }

    /// How it ended, once it has.
    ///
    /// # Errors
    /// When the system does not say.
    pub(in super::super) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let Some(child) = self.child.as_mut() else { return Ok(None) };
        let status = child.try_wait()?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status)
    }

    /// Asks it to end, waits until it has, and starts it again.
    ///
    /// # Errors
    /// When it does not end in good order, or does not start again.
    pub(in super::super) fn restart(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.ended()? {
                break status;
            }
            ensure!(begin.elapsed() < START_MAX, "node {} does not end after SIGTERM", self.number);
            std::thread::sleep(Duration::from_millis(10));
        };
        ensure!(status.success(), "node {} ended with {status} after SIGTERM", self.number);
        self.run()?;
        self.wait_until_ready()
    }
}

/// How a process ended, for people.
pub(in super::super) fn told(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("signal {signal}"),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => "unknown".to_owned(),
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.kill();
    }
}
