//! A node as its operator runs it: a process at a fixed place, that can be killed, paused and started again.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::guard;
use crate::ports::free_port;

/// A node that is not ready by then has failed; on a busy machine, in a debug build.
const START_MAX: Duration = Duration::from_secs(180);

/// Limits that are not what these tests are about.
const SETTINGS: [(&str, &str); 9] = [
    ("LIMITS__SENDS_BURST", "1000000"),
    ("LIMITS__FRAMES_BURST", "1000000"),
    ("LIMITS__FRAME_BYTES_PER_SECOND", "1GiB"),
    ("LIMITS__GUESTS_BURST", "1000"),
    ("LIMITS__CONNECTIONS_PER_ADDRESS_BEFORE_AUTH", "2000"),
    ("LIMITS__REQUESTS_IN_FLIGHT", "1000"),
    ("AUTH__ACCESS_TOKEN_LIFETIME", "1d"),
    ("SERVER__WORKERS", "2"),
    ("SERVER__DRAIN_TIMEOUT", "5s"),
];

/// How many of the last lines of its log a node shows when a test fails.
const LOG_LINES: usize = 40;

/// A node. Dropping it kills it.
pub(crate) struct Node {
    name: String,
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    folder: PathBuf,
    settings: Vec<(String, String)>,
    child: Option<Child>,
}

impl Node {
    /// Starts a node with settings as in the environment, without waiting until it is ready. What it keeps and
    /// what it says go to `folder`, under its name.
    pub(crate) fn spawn(folder: &Path, name: &str, settings: &[(String, String)]) -> Self {
        let mut node = Self {
            name: name.to_owned(),
            address: free_address(),
            admin: free_address(),
            folder: folder.to_owned(),
            settings: settings.to_vec(),
            child: None,
        };
        node.run();
        node
    }

    /// Starts it again, at the same place.
    pub(crate) fn run(&mut self) {
        assert!(self.child.is_none(), "{} runs", self.name);
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = guard::command(env!("CARGO_BIN_EXE_bobchat"));
        let (listen, admin) = (self.address.to_string(), self.admin.to_string());
        command.args(["--listen", &listen, "--admin-listen", &admin]);
        command.arg("--data").arg(self.data());
        for (key, value) in SETTINGS.iter().copied().chain(self.settings.iter().map(|(k, v)| (k.as_str(), v.as_str())))
        {
            command.env(format!("BOBCHAT__{key}"), value);
        }
        // A configuration file in the working directory must not matter.
        command.current_dir(&self.folder).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(guard::spawn(command).expect("setpriv of util-linux can be run"));
    }

    /// Waits until it says that it is ready.
    pub(crate) fn wait_until_ready(&mut self) {
        let begin = Instant::now();
        while !self.is_ready() {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{} ended before it was ready: {ended:?}", self.name);
            assert!(begin.elapsed() < START_MAX, "{} is not ready after {START_MAX:?}", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_ready(&self) -> bool {
        ureq::get(format!("http://{}/readyz", self.admin)).call().is_ok()
    }

    /// A figure that it shows its operator.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let mut page = ureq::get(format!("http://{}/metrics", self.admin)).call().unwrap();
        let page = page.body_mut().read_to_string().unwrap();
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no figure {name} in {page}")).parse().unwrap()
    }

    /// Whether it knows so many nodes, itself among them, and each answers it.
    pub(crate) fn is_answered_by(&self, count: usize) -> bool {
        let secret = std::fs::read_to_string(self.data().join("admin.token")).unwrap();
        let request = ureq::get(format!("http://{}/admin/nodes", self.admin));
        let mut reply = request.header("Authorization", format!("Bearer {}", secret.trim())).call().unwrap();
        let list: serde_json::Value = reply.body_mut().read_json().unwrap();
        let nodes = list["nodes"].as_array().unwrap();
        nodes.len() == count && nodes.iter().all(|node| node["status"].is_object())
    }

    /// Whether a line of its log has both of these.
    pub(crate) fn said(&self, what: &str, of: &str) -> bool {
        let log = std::fs::read_to_string(self.log()).unwrap();
        log.lines().any(|line| line.contains(what) && line.contains(of))
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks it to end, as an operator does, and waits until it has.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.child.take().unwrap().wait().unwrap();
        assert!(status.success(), "{} ended with {status}", self.name);
    }

    /// Stops it where it stands: its sockets stay open and answer nothing.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Runs one of its operator's commands on its data.
    pub(crate) fn operate(&self, arguments: &[&str]) {
        let (succeeded, said) = self.try_operate(arguments);
        assert!(succeeded, "{arguments:?}: {said}");
    }

    /// The same; gives whether it succeeded, and what it said.
    pub(crate) fn try_operate(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = guard::command(env!("CARGO_BIN_EXE_bobchat"));
        command.args(["--config", "/dev/null"]).args(arguments).arg("--data").arg(self.data());
        let output = command.args(["--admin-listen", &self.admin.to_string()]).output().unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }

    /// Has it run with another setting of its environment from its next start on.
    pub(crate) fn configure(&mut self, key: &str, value: &str) {
        self.settings.push((key.to_owned(), value.to_owned()));
    }

    /// Where it keeps its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking()
            && let Ok(log) = std::fs::read_to_string(self.log())
        {
            let skipped = log.lines().count().saturating_sub(LOG_LINES);
            println!("--- the last that {} said:", self.name);
            log.lines().skip(skipped).for_each(|line| println!("{line}"));
        }
    }
}

/// An address that stays free while its node is down.
fn free_address() -> SocketAddr {
    ([127, 0, 0, 1], free_port()).into()
}
