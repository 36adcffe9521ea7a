//! Redis servers on 127.0.0.1, each in a folder of its own, that end with the test, also with one that is killed.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::guard;
use crate::ports::free_port;

/// How long a server may take for what is asked of it; on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A `redis-server`. Each command is in a file before it is answered, so that a kill loses nothing. Nothing waits for the
/// disk: these tests do not cut the power.
pub(crate) struct RedisServer {
    folder: TempDir,
    port: u16,
    options: Vec<String>,
    child: Option<Child>,
}

impl RedisServer {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// Starts one with further options: `["--maxmemory", "4mb"]`.
    pub(crate) fn with(options: &[&str]) -> Self {
        let options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
        let (folder, port) = (TempDir::new().unwrap(), free_port());
        let mut server = Self { folder, port, options, child: None };
        assert!(server.try_run(), "redis-server does not start: is it installed? scripts/need redis");
        server
    }

    /// Starts it again, on the same port, with what its folder holds.
    pub(crate) fn run(&mut self) {
        assert!(self.try_run(), "redis-server does not start again");
    }

    fn try_run(&mut self) -> bool {
        let mut command = guard::command("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "no", "--repl-diskless-sync-delay", "0"]);
        command.arg("--dir").arg(self.folder.path()).args(&self.options);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(guard::spawn(command).expect("setpriv of util-linux can be run"));
        eventually("the server answers", || match self.child.as_mut().unwrap().try_wait() {
            Ok(None) => (self.try_cli(&["PING"]).as_deref() == Some("PONG")).then_some(true),
            Ok(Some(_)) | Err(_) => Some(false),
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where it keeps what it holds.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Kills it: no farewell, nothing saved.
    pub(crate) fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        self.child.take().unwrap().wait().unwrap();
    }

    /// Removes what it held; it must not run.
    pub(crate) fn forget(&self) {
        std::fs::remove_dir_all(self.folder().join("appendonlydir")).unwrap();
    }

    /// Stops it where it stands. Its sockets stay open and answer nothing.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(self.child.as_ref().unwrap());
        kill_process(pid, signal).unwrap();
    }

    /// Starts a replica, and waits until it has everything.
    pub(crate) fn replica(&self) -> Self {
        let replica = Self::with(&["--replicaof", &format!("127.0.0.1 {}", self.port)]);
        eventually("the replica is in step", || {
            let info = replica.try_cli(&["INFO", "replication"])?;
            info.contains("master_link_status:up").then_some(())
        });
        replica
    }

    /// Waits until a replica holds all that was written so far.
    pub(crate) fn wait_for(&self, replica: &Self) {
        let written: u64 = self.info("replication", "master_repl_offset").parse().unwrap();
        eventually("the replica is in step", || {
            let has: u64 = replica.info("replication", "master_repl_offset").parse().unwrap();
            (has >= written).then_some(())
        });
    }

    /// Makes a replica the primary.
    pub(crate) fn promote(&self) {
        self.cli(&["REPLICAOF", "NO", "ONE"]);
    }

    /// Runs a command by `redis-cli` and returns what it prints.
    pub(crate) fn cli(&self, command: &[&str]) -> String {
        self.try_cli(command).expect("redis-cli answers")
    }

    fn try_cli(&self, command: &[&str]) -> Option<String> {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(command).output();
        let output = output.expect("redis-cli can be run: scripts/need redis installs it");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Its clock, in microseconds. `TIME` prints two numbers, the second one without leading zeros.
    pub(crate) fn time(&self) -> String {
        let time = self.cli(&["TIME"]);
        let (seconds, microseconds) = time.split_once('\n').expect("seconds and microseconds");
        format!("{seconds}{microseconds:0>6}")
    }

    /// The keys that match a pattern.
    pub(crate) fn keys(&self, pattern: &str) -> Vec<String> {
        self.cli(&["KEYS", pattern]).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// A field of `INFO`.
    pub(crate) fn info(&self, section: &str, field: &str) -> String {
        let info = self.cli(&["INFO", section]);
        let value = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        value.unwrap_or_default().trim().to_owned()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks again until there is an answer: for what another process does in its own time.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
