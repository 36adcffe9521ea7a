//! The harness held against servers that people use elsewhere: what it says is what they understand.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not covered by the exceptions of clippy.toml")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The folder of servers that are no Rust.
const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");

/// A process that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the room on Socket.IO; gives its address.
fn socketio(arguments: &[&str]) -> (String, Running) {
    let installed = Path::new(PEERS).join("node_modules/socket.io");
    assert!(installed.is_dir(), "run: npm --prefix loadtest/peers ci");
    let script = Path::new(PEERS).join("socketio.mjs");
    let mut child = Command::new("node").arg(script).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (line.trim().strip_prefix("listening on ").unwrap().to_owned(), Running(child))
}

/// Runs a second of a scenario there; gives what was counted.
fn run(scenario: &str, address: &str) -> serde_json::Value {
    let json = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bobchat-loadtest"))
        .args(["run", scenario, "--target", &format!("socketio://{address}"), "--seconds", "1", "--json"])
        .arg(json.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("every promise kept"), "{text}");
    serde_json::from_reader(json).unwrap()
}

#[test]
fn a_room_on_socket_io_passes_every_check() {
    let (address, _running) = socketio(&[]);
    let totals = &run("fanout", &address)["totals"];
    assert_eq!((totals["sent"].as_u64(), totals["acked"].as_u64()), (Some(20), Some(20)), "{totals}");
    assert_eq!(totals["delivered"].as_u64(), Some(200), "{totals}");
}

#[test]
fn what_socket_io_acks_with_a_log_is_in_the_log() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let (address, _running) = socketio(&["--log", log.path().to_str().unwrap()]);
    let totals = &run("throughput", &address)["totals"];
    let lines = BufReader::new(log.as_file()).lines().count() as u64;
    assert!(lines > 100 && totals["acked"].as_u64() == Some(lines), "{lines} lines: {totals}");
}
