//! The canary at servers that keep their promises, at a proxy that breaks them, and at nobody.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::support::door::Door;
use super::support::proxy::{self, Fault};
use super::support::{Server, harness, printed};

fn once(targets: &[SocketAddr]) -> (Option<i32>, String) {
    let targets = targets.iter().flat_map(|target| ["--target".to_owned(), format!("http://{target}")]);
    let arguments: Vec<String> =
        ["canary", "--once", "--patience", "3"].map(str::to_owned).into_iter().chain(targets).collect();
    let output = harness(&arguments);
    (output.status.code(), printed(&output))
}

#[test]
fn one_round_passes_where_every_promise_is_kept() {
    let server = Server::start();
    // The same server by another way stands for another node.
    let other = proxy::start(server.address, Fault::None, 1);
    for targets in [vec![server.address], vec![server.address, other]] {
        let (code, text) = once(&targets);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains("every promise kept"), "{text}");
    }
}

#[test]
fn one_round_says_which_promise_is_broken() {
    for (fault, said) in [(Fault::Drop, "loss: "), (Fault::Double, "double: "), (Fault::Swap, "order: ")] {
        let server = Server::start();
        let (code, text) = once(&[server.address, proxy::start(server.address, fault, 4)]);
        assert_eq!(code, Some(1), "{fault:?}: {text}");
        assert!(text.contains(said), "{fault:?}: {text}");
    }
}

#[test]
fn one_round_that_cannot_be_tried_says_so() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, text) = once(&[nobody]);
    assert_eq!(code, Some(2), "{text}");
    let text = printed(&harness(&["canary", "--target", "http://127.0.0.1:1", "--every", "0"]));
    assert!(text.contains("--every has to be from 0.1 to 3600 seconds"), "{text}");
}

/// A canary that runs; ends with its test.
struct Canary {
    child: Child,
    metrics: SocketAddr,
}

impl Canary {
    fn at(target: SocketAddr) -> Self {
        let target = format!("http://{target}");
        let arguments = ["canary", "--listen", "127.0.0.1:0", "--every", "0.1", "--target", &target];
        let mut command = Command::new(env!("CARGO_BIN_EXE_bobchat-loadtest"));
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let metrics = line.split("http://").nth(1).unwrap().trim().trim_end_matches("/metrics").parse().unwrap();
        Self { child, metrics }
    }

    fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(self.metrics).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: canary\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The sum of the samples that begin so.
    fn figure(&self, beginning: &str) -> f64 {
        let text = self.metrics();
        let samples = text.lines().filter(|line| line.starts_with(beginning));
        samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_so(self) {
            assert!(Instant::now() < deadline, "{what}:\n{}", self.metrics());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_canary_tells_what_it_sees_and_comes_back_to_a_node_that_was_away() {
    let server = Server::start();
    let door = Door::before(server.address);
    let canary = Canary::at(door.address);
    let in_time = |canary: &Canary| canary.figure("bobchat_canary_deliveries_total") as u64;
    canary.until("messages arrive", |canary| in_time(canary) > 5);
    canary.until("pages are read", |canary| canary.figure("bobchat_canary_history_seconds_count") > 1.0);
    assert!((canary.figure("bobchat_canary_connected{") - 2.0).abs() < 1e-9, "{}", canary.metrics());
    door.shut();
    canary.until("nobody is there", |canary| canary.figure("bobchat_canary_connected{") < 0.5);
    canary.until("it is tried again", |canary| canary.metrics().contains("outcome=\"failed\"} 2"));
    door.open();
    canary.until("both are back", |canary| canary.figure("bobchat_canary_connected{") > 1.5);
    let before = in_time(&canary);
    canary.until("messages arrive again", |canary| in_time(canary) > before + 5);
    assert!(canary.figure("bobchat_canary_broken_promises_total") < 0.5, "{}", canary.metrics());
}
