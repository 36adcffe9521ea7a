//! The servers that are measured: started on their core, ready when they say so, gone with their handle.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bobchat_proto::codec::Format;
use rustix::process::{Pid, Signal, kill_process};

use super::Options;
use crate::client::Target;
use crate::dialect::Dialect;
use crate::process::{Process, pin_this_thread};

/// A server that is not ready by then has failed.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// What is asked for readiness between two tries.
const READY_POLL: Duration = Duration::from_millis(1);

/// How to start servers.
#[derive(Debug, Clone)]
pub(crate) struct Installation {
    bobchat: PathBuf,
    config: PathBuf,
    log: PathBuf,
    server_core: usize,
    client_core: usize,
}

impl Installation {
    pub(super) fn new(options: &Options) -> anyhow::Result<Self> {
        ensure!(options.config.is_file(), "{} is not there: run in the repository's root", options.config.display());
        Ok(Self {
            bobchat: options.bobchat.canonicalize()?,
            config: options.config.canonicalize()?,
            log: options.out.join("server.log"),
            server_core: options.server_core,
            client_core: options.client_core,
        })
    }

    /// A child inherits the core of the thread that starts it, from its first instruction on.
    fn spawn(&self, command: &mut Command) -> anyhow::Result<Child> {
        pin_this_thread(self.server_core)?;
        let child = command.spawn().with_context(|| format!("could not start {:?}", command.get_program()));
        pin_this_thread(self.client_core)?;
        child
    }

    /// Starts the server on `data`; also says how long it took until it was ready.
    ///
    /// # Errors
    /// When it does not become ready.
    pub(crate) fn start(&self, data: &Path) -> anyhow::Result<(Bobchat, Duration)> {
        let (listen, admin) = (free_address()?, free_address()?);
        let log = std::fs::File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.bobchat);
        command.arg("--config").arg(&self.config).arg("--data").arg(data);
        command.args(["--listen", &listen.to_string(), "--admin-listen", &admin.to_string()]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let began = Instant::now();
        let child = self.spawn(&mut command)?;
        let mut server = Bobchat { child: Running(child), listen, admin };
        while !server.is_ready() {
            if let Some(status) = server.child.0.try_wait()? {
                bail!("the server ended with {status} before it was ready; see {}", self.log.display());
            }
            ensure!(began.elapsed() < READY_TIMEOUT, "the server was not ready after {READY_TIMEOUT:?}");
            std::thread::sleep(READY_POLL);
        }
        Ok((server, began.elapsed()))
    }

    /// Starts this program as the floor or the baseline.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub(crate) fn start_other(&self, dialect: Dialect, arguments: &[&str]) -> anyhow::Result<Other> {
        let name = if dialect == Dialect::Floor { "floor" } else { "baseline" };
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(name).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = Running(self.spawn(&mut command)?);
        let mut line = String::new();
        let output = child.0.stdout.take().context("no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let authority =
            line.trim().strip_prefix("listening on ").context("it did not say where it listens")?.to_owned();
        Ok(Other { child, target: Target { dialect, authority } })
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A process that ends with its handle.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A floor or a baseline that runs.
pub(crate) struct Other {
    child: Running,
    pub(crate) target: Target,
}

impl Other {
    pub(crate) fn process(&self) -> Process {
        Process::new(self.child.0.id())
    }
}

/// A Bobchat that runs.
pub(crate) struct Bobchat {
    child: Running,
    listen: SocketAddr,
    admin: SocketAddr,
}

/// The commits of the store until now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Commits {
    events: f64,
    commits: f64,
}

impl Commits {
    /// Events in a commit, on average, since `earlier`.
    pub(crate) fn mean_batch_since(self, earlier: Self) -> f64 {
        (self.events - earlier.events) / (self.commits - earlier.commits).max(1.0)
    }
}

impl Bobchat {
    pub(crate) fn process(&self) -> Process {
        Process::new(self.child.0.id())
    }

    pub(crate) fn authority(&self) -> String {
        self.listen.to_string()
    }

    pub(crate) fn target(&self) -> Target {
        Target { dialect: Dialect::Bobchat(Format::Protobuf), authority: self.authority() }
    }

    fn is_ready(&self) -> bool {
        self.admin_page("/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    fn admin_page(&self, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.admin)?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin);
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// The commits of the store until now, by the server's own count.
    ///
    /// # Errors
    /// When the server does not say.
    pub(crate) fn commits(&self) -> anyhow::Result<Commits> {
        let page = self.admin_page("/metrics")?;
        let sum = |name: &str| {
            let samples =
                page.lines().filter_map(|line| line.strip_prefix(name)?.rsplit(' ').next()?.parse::<f64>().ok());
            samples.reduce(|sum, sample| sum + sample).with_context(|| format!("/metrics has no {name}"))
        };
        Ok(Commits {
            events: sum("bobchat_store_commit_events_sum")?,
            commits: sum("bobchat_store_commit_events_count")?,
        })
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// When it does not end.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.0.id()).ok().and_then(Pid::from_raw).context("no such process")?;
        kill_process(pid, Signal::TERM)?;
        let began = Instant::now();
        while self.child.0.try_wait()?.is_none() {
            ensure!(began.elapsed() < READY_TIMEOUT, "the server did not end after SIGTERM");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Ends it without a word: SIGKILL.
    pub(crate) fn kill(self) {
        drop(self);
    }
}
