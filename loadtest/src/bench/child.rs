//! The servers that are measured: started on their core, ready when they say so, gone with their handle.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bobchat_proto::codec::Format;
use rustix::process::{Pid, Signal, kill_process};

use crate::client::Target;
use crate::dialect::Dialect;
use crate::metrics::Metrics;
use crate::process::{Process, pin_this_thread};
use crate::ws::Trust;

/// A server that is not ready by then has failed.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Between two looks at a node that is restarted: a stop and a start take a second.
const RESTART_POLL: Duration = Duration::from_millis(20);

/// What is asked for readiness between two tries.
const READY_POLL: Duration = Duration::from_millis(1);

/// The words before a command that make the kernel kill it when whoever started it has died.
const GUARD: [&str; 4] = ["setpriv", "--pdeathsig", "KILL", "--"];

/// A command that ends with this process, however it ends: several servers stand on each other here, and none of them
/// may be left behind. To be spawned on the main thread, whose end counts.
pub(crate) fn guarded(program: impl AsRef<OsStr>) -> Command {
    let [guard, arguments @ ..] = GUARD;
    let mut command = Command::new(guard);
    command.args(arguments).arg(program);
    command
}

/// Which core is whose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cores {
    pub(crate) server: usize,
    pub(crate) client: usize,
}

/// How to start servers.
#[derive(Debug, Clone)]
pub(crate) struct Installation {
    bobchat: PathBuf,
    config: PathBuf,
    log: PathBuf,
    /// Where there are more servers than cores the system places them.
    cores: Option<Cores>,
}

impl Installation {
    /// The program, its configuration, where its log goes, and the cores if they are to be kept apart.
    ///
    /// # Errors
    /// When a file is not there.
    pub(super) fn new(bobchat: &Path, config: &Path, out: &Path, cores: Option<Cores>) -> anyhow::Result<Self> {
        ensure!(bobchat.is_file(), "{} is not there: build it with --release", bobchat.display());
        ensure!(config.is_file(), "{} is not there: run in the repository's root", config.display());
        std::fs::create_dir_all(out).with_context(|| format!("could not make {}", out.display()))?;
        let log = out.join("server.log");
        Ok(Self { bobchat: bobchat.canonicalize()?, config: config.canonicalize()?, log, cores })
    }

    /// A child inherits the core of the thread that starts it, from its first instruction on.
    fn spawn(&self, command: &mut Command) -> anyhow::Result<Child> {
        if let Some(cores) = self.cores {
            pin_this_thread(cores.server)?;
        }
        let child = command.spawn().with_context(|| format!("could not start {:?}", command.get_program()));
        if let Some(cores) = self.cores {
            pin_this_thread(cores.client)?;
        }
        child
    }

    /// Starts the server on `data`; also says how long it took until it was ready.
    ///
    /// # Errors
    /// When it does not become ready.
    pub(crate) fn start(&self, data: &Path) -> anyhow::Result<(Bobchat, Duration)> {
        self.start_as(Command::new(&self.bobchat), data)
    }

    /// Starts it as a node of a cluster, with more settings, as in the environment.
    ///
    /// # Errors
    /// When it does not become ready.
    pub(crate) fn start_node(&self, data: &Path, settings: &[(&str, String)]) -> anyhow::Result<Bobchat> {
        let environment = settings.iter().map(|(key, value)| (format!("BOBCHAT__{key}"), value.clone()));
        let again = Again { data: data.to_owned(), environment: environment.collect() };
        let (server, _) = self.start_as(self.command_of(&again), data)?;
        Ok(Bobchat { again: Some(again), ..server })
    }

    fn command_of(&self, again: &Again) -> Command {
        let mut command = guarded(&self.bobchat);
        command.envs(again.environment.iter().map(|(key, value)| (key, value)));
        command
    }

    /// Ends a node in good order and starts it again in its place, while whoever else lives on this thread goes on.
    ///
    /// # Errors
    /// When it does not end, or does not become ready.
    pub(crate) async fn restart(&self, node: &mut Bobchat) -> anyhow::Result<()> {
        let again = node.again.clone().context("it was not started as a node")?;
        node.process().signal(Signal::TERM)?;
        let began = Instant::now();
        while node.child.0.try_wait()?.is_none() {
            ensure!(began.elapsed() < READY_TIMEOUT, "the server did not end after SIGTERM");
            tokio::time::sleep(RESTART_POLL).await;
        }
        let mut command = self.command_of(&again);
        node.child = Running(self.spawn_at(&mut command, &again.data, node.listen, node.admin)?);
        while !node.is_ready() {
            node.is_starting(began, &self.log)?;
            tokio::time::sleep(RESTART_POLL).await;
        }
        Ok(())
    }

    /// Starts it with a certificate of its own, which its clients trust; both stand beside `data`, which is kept.
    ///
    /// # Errors
    /// When it does not become ready.
    pub(crate) fn start_secure(&self, data: &Path) -> anyhow::Result<Bobchat> {
        let (certificate, key) = (data.join("server.crt"), data.join("server.key"));
        if !certificate.exists() {
            let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
            std::fs::write(&certificate, made.cert.pem())?;
            std::fs::write(&key, made.signing_key.serialize_pem())?;
        }
        let mut command = Command::new(&self.bobchat);
        command.env("BOBCHAT__SERVER__TLS_CERTIFICATE", &certificate).env("BOBCHAT__SERVER__TLS_KEY", &key);
        let (server, _) = self.start_as(command, data)?;
        Ok(Bobchat { trust: Some(Trust::in_file(&certificate)), ..server })
    }

    fn start_as(&self, mut command: Command, data: &Path) -> anyhow::Result<(Bobchat, Duration)> {
        let (listen, admin) = (free_address()?, free_address()?);
        let began = Instant::now();
        let child = self.spawn_at(&mut command, data, listen, admin)?;
        let mut server = Bobchat { child: Running(child), listen, admin, trust: None, again: None };
        while !server.is_ready() {
            server.is_starting(began, &self.log)?;
            std::thread::sleep(READY_POLL);
        }
        Ok((server, began.elapsed()))
    }

    fn spawn_at(
        &self,
        command: &mut Command,
        data: &Path,
        listen: SocketAddr,
        admin: SocketAddr,
    ) -> anyhow::Result<Child> {
        let log = std::fs::File::options().create(true).append(true).open(&self.log)?;
        command.arg("--config").arg(&self.config).arg("--data").arg(data);
        command.args(["--listen", &listen.to_string(), "--admin-listen", &admin.to_string()]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.spawn(command)
    }

    /// Starts this program as the floor or the baseline.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub(crate) fn start_other(&self, dialect: Dialect, arguments: &[&str]) -> anyhow::Result<Other> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(dialect.scheme()).args(arguments);
        self.start_listening(command, dialect)
    }

    /// Starts a server of somebody else, which is a script of Node.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub(crate) fn start_script(&self, dialect: Dialect, script: &Path, arguments: &[&str]) -> anyhow::Result<Other> {
        let mut command = guarded("node");
        command.arg(script).args(arguments);
        self.start_listening(command, dialect).with_context(|| format!("could not start {}", script.display()))
    }

    fn start_listening(&self, mut command: Command, dialect: Dialect) -> anyhow::Result<Other> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = Running(self.spawn(&mut command)?);
        let mut line = String::new();
        let output = child.0.stdout.take().context("no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let authority =
            line.trim().strip_prefix("listening on ").context("it did not say where it listens")?.to_owned();
        Ok(Other { child, target: Target::new(dialect, authority) })
    }
}

/// An address that was free a moment ago.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A process that ends with its handle.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that is no Bobchat and runs.
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
    /// Whom its clients trust, where it speaks TLS.
    trust: Option<Trust>,
    /// What it takes to start it again, of a node.
    again: Option<Again>,
}

/// What it takes to start a node again.
#[derive(Debug, Clone)]
struct Again {
    data: PathBuf,
    environment: Vec<(String, String)>,
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
        let target = Target::new(Dialect::Bobchat(Format::Protobuf), self.authority());
        match &self.trust {
            None => target,
            Some(trust) => target.trusting(trust.clone()),
        }
    }

    /// Whether it may still become ready.
    ///
    /// # Errors
    /// When it has ended, or it takes too long.
    fn is_starting(&mut self, began: Instant, log: &Path) -> anyhow::Result<()> {
        if let Some(status) = self.child.0.try_wait()? {
            bail!("the server ended with {status} before it was ready; see {}", log.display());
        }
        ensure!(began.elapsed() < READY_TIMEOUT, "the server was not ready after {READY_TIMEOUT:?}");
        Ok(())
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
        let metrics = self.metrics()?;
        Ok(Commits {
            events: metrics.sum("bobchat_store_commit_events_sum")?,
            commits: metrics.sum("bobchat_store_commit_events_count")?,
        })
    }

    /// All that it counts.
    ///
    /// # Errors
    /// When the server does not say.
    pub(crate) fn metrics(&self) -> anyhow::Result<Metrics> {
        Ok(Metrics::new(self.admin_page("/metrics")?))
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
