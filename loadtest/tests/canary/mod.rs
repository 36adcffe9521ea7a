//! The canary at servers that keep their promises, at a proxy that breaks them, and at nobody.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::support::door::Door;
use super::support::mini::{self, Behaviour};
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
    // The alert looks for a message within two minutes.
    for every in ["0", "31"] {
        let text = printed(&harness(&["canary", "--target", "http://127.0.0.1:1", "--every", every]));
        assert!(text.contains("--every has to be from 0.1 to 30 seconds"), "{text}");
    }
}

/// A canary that runs; ends with its test.
struct Canary {
    child: Child,
    metrics: SocketAddr,
}

impl Canary {
    fn at(targets: &[SocketAddr]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bobchat-loadtest"));
        command.args(["canary", "--listen", "127.0.0.1:0", "--every", "0.1"]);
        command.args(targets.iter().flat_map(|target| ["--target".to_owned(), format!("http://{target}")]));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let metrics = line.split("http://").nth(1).unwrap().trim().trim_end_matches("/metrics").parse().unwrap();
        Self { child, metrics }
    }

    fn metrics(&self) -> String {
        page(self.metrics)
    }

    /// The sum of the samples that begin so.
    fn figure(&self, beginning: &str) -> f64 {
        sum(&self.metrics(), beginning)
    }

    fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_so(self) {
            assert!(Instant::now() < deadline, "{what}:\n{}", self.metrics());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// What somebody tells Prometheus.
fn page(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn sum(page: &str, beginning: &str) -> f64 {
    let samples = page.lines().filter(|line| line.starts_with(beginning));
    samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
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
    let canary = Canary::at(&[door.address]);
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

#[test]
fn a_canary_that_cannot_sign_anybody_up_says_that_nothing_arrives() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let canary = Canary::at(&[nobody]);
    canary.until("it was tried", |canary| canary.figure("bobchat_canary_set_ups_total{outcome=\"failed\"}") > 0.5);
    // Of what does not exist an alert cannot say that it does not grow.
    let nothing = format!("bobchat_canary_deliveries_total{{from=\"{nobody}\",to=\"{nobody}\",outcome=\"in_time\"}} 0");
    assert!(canary.metrics().contains(&nothing), "{}", canary.metrics());
}

#[test]
fn guests_who_were_let_in_are_kept_until_the_others_are() {
    let server = mini::start(Behaviour::LimitsGuests);
    // The same server by other ways stands for other nodes.
    let doors = [Door::before(server), Door::before(server)];
    let canary = Canary::at(&[server, doors[0].address, doors[1].address]);
    canary.until("all six are there", |canary| canary.figure("bobchat_canary_connected{") > 5.5);
    let page = page(server);
    assert!((sum(&page, "guests ") - 6.0).abs() < 1e-9, "{page}");
}

#[test]
fn a_token_that_is_good_still_is_kept_where_it_cannot_be_renewed() {
    let canary = Canary::at(&[mini::start(Behaviour::CannotRenew)]);
    canary.until("messages arrive", |canary| canary.figure("bobchat_canary_deliveries_total") > 5.0);
    assert!(canary.figure("bobchat_canary_set_ups_total{outcome=\"done\"}") < 1.5, "{}", canary.metrics());
}

#[test]
fn users_whom_the_server_does_not_know_any_more_are_made_anew() {
    let canary = Canary::at(&[mini::start(Behaviour::ForgetsUsers)]);
    let done = "bobchat_canary_set_ups_total{outcome=\"done\"}";
    canary.until("it begins anew", |canary| canary.figure(done) > 1.5);
}
