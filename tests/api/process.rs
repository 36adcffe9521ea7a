//! The server as its operator starts it: a process of its own, which can be killed.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Lines};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use bobchat_proto::wire::TokenGrant;

use crate::guard::{self, GUARD};

/// Limits that are not what these tests are about.
const LIMITS: [(&str, &str); 8] = [
    ("LIMITS__SENDS_BURST", "1000000"),
    ("LIMITS__FRAMES_BURST", "1000000"),
    ("LIMITS__FRAME_BYTES_PER_SECOND", "1GiB"),
    ("LIMITS__GUESTS_BURST", "1000"),
    ("LIMITS__CONNECTIONS_PER_USER", "2000"),
    ("LIMITS__CONNECTIONS_PER_ADDRESS_BEFORE_AUTH", "2000"),
    ("STORE__RESERVE_BYTES", "1MiB"),
    ("SERVER__WORKERS", "2"),
];

pub(crate) struct Process {
    child: Child,
    /// Kept open: what the server says later must not meet a closed pipe.
    _output: Lines<BufReader<ChildStdout>>,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts the server over `data`.
    pub(crate) fn start(data: &Path) -> Self {
        Self::under(&[], data, &[])
    }

    /// Starts the server as the last arguments of another command, with more settings.
    pub(crate) fn under(command: &[&str], data: &Path, settings: &[(&str, &str)]) -> Self {
        let binary = env!("CARGO_BIN_EXE_bobchat");
        // Each is guarded: when a tracer is killed, what it traced would go on.
        let mut words: Vec<OsString> = command.iter().map(OsString::from).collect();
        if !command.is_empty() {
            words.extend(GUARD.map(OsString::from));
        }
        words.push(binary.into());
        words.extend(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"].map(OsString::from));
        words.push(data.into());
        let mut command = guard::command(&words[0]);
        for (key, value) in LIMITS.iter().chain(settings) {
            command.env(format!("BOBCHAT__{key}"), value);
        }
        // A configuration file in the working directory must not matter.
        command.args(&words[1..]).current_dir(data.parent().unwrap());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = guard::spawn(command).expect("setpriv of util-linux can be run");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.next().expect("the server ended without a word").unwrap();
        let address = ready.split("http://").nth(1).expect(&ready).trim().parse().unwrap();
        Self { child, _output: lines, address }
    }

    /// Ends the process at once, as a crash does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The process's number: of the server itself, where it was started without another command.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Memory in use, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
    }

    /// Asks the process to end, as an operator does, and waits until it has.
    pub(crate) fn stop(mut self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.ends(), "the server goes on after SIGTERM");
    }

    /// Whether the process has ended by itself, within a minute.
    pub(crate) fn ends(&mut self) -> bool {
        for _ in 0..1_200 {
            if self.child.try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        false
    }

    /// Signs up somebody new, over REST.
    pub(crate) fn guest(&self, name: &str) -> TokenGrant {
        let url = format!("http://{}/api/v1/guests", self.address);
        let mut response = ureq::post(&url).send_json(serde_json::json!({"name": name})).unwrap();
        response.body_mut().read_json().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
