use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::{NamedTempFile, TempDir};

use crate::cassandra;
use crate::check::make_certificate;
use crate::command::Settings;
use crate::guard;
use crate::ports::free_port;
use crate::server::{RedisServer, eventually};

/// What ends at once has ended by then, on a busy machine; what waits for services does not end at all.
const AT_ONCE: Duration = Duration::from_secs(30);

/// A node that was started, and may wait for its services.
struct Starting {
    child: Child,
    /// The first line of it says that the node is ready.
    banner: BufReader<ChildStdout>,
    log: NamedTempFile,
    admin: SocketAddr,
    _folder: TempDir,
}

impl Starting {
    fn start(settings: &Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = NamedTempFile::new().unwrap();
        let admin: SocketAddr = ([127, 0, 0, 1], free_port()).into();
        let settings = settings.with("STORE__DATA", folder.path().join("data").to_str().unwrap());
        let mut command = settings.command(&["--listen", "127.0.0.1:0", "--admin-listen", &admin.to_string()]);
        command.stdout(Stdio::piped()).stderr(log.reopen().unwrap());
        let mut child = guard::spawn(command).unwrap();
        let banner = BufReader::new(child.stdout.take().unwrap());
        Self { child, banner, log, admin, _folder: folder }
    }

    /// Waits until it says where it serves.
    fn ready(&mut self) -> String {
        let mut line = String::new();
        self.banner.read_line(&mut line).unwrap();
        let (_, address) = line.split_once("is ready: http://").unwrap_or_else(|| panic!("{line}{}", self.log()));
        address.trim().to_owned()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    /// The lines of the log with this message.
    fn lines(&self, message: &str) -> Vec<Value> {
        let lines = self.log();
        let parsed = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        parsed.filter(|line| line["message"].as_str().is_some_and(|text| text.contains(message))).collect()
    }

    /// Asks the operator's listener, which has to be there.
    fn asks(&self, path: &str) -> (u16, String) {
        self.try_asks(path).expect("the operator's listener is there")
    }

    fn try_asks(&self, path: &str) -> Option<(u16, String)> {
        let mut socket = TcpStream::connect(self.admin).ok()?;
        write!(socket, "GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// Sends a signal, and waits for its end; returns the exit code.
    fn end(mut self, signal: Signal) -> (i32, String) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let code = self.child.wait().unwrap().code().unwrap();
        (code, self.log())
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Asks as a client does: again for as long as the server says that it may succeed later.
fn patiently(ask: impl Fn() -> Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> String {
    eventually("the server does it", || match ask() {
        Ok(mut answer) => Some(answer.body_mut().read_to_string().unwrap()),
        Err(ureq::Error::StatusCode(503)) => None,
        Err(error) => panic!("{error}"),
    })
}

fn nowhere() -> String {
    format!("127.0.0.1:{}", free_port())
}

fn settings(redis: &str) -> Settings {
    Settings::cluster(Path::new("unused"), redis)
}

#[test]
fn a_node_waits_for_its_services_says_so_and_comes_up_by_itself() {
    let mut redis = RedisServer::start();
    redis.kill();
    let settings = settings(&redis.url());
    let mut node = Starting::start(&settings);
    // Cassandra is there: it is waited for Redis alone.
    eventually("it says what it waits for", || {
        (node.try_asks("/readyz")? == (503, "not ready: waiting for Redis\n".to_owned())).then_some(())
    });
    assert_eq!(node.asks("/healthz").0, 200, "it lives");
    assert!(node.asks("/metrics").1.contains("bobchat_build_info"), "and is measured");
    let admin = node.admin.to_string();
    let ask = ["ready", "--admin-listen", &admin];
    let asked = settings.run(&ask);
    let reason = format!("bobchat: http://{}/readyz answers 503: not ready: waiting for Redis\n", admin);
    assert_eq!((asked.code, asked.stderr), (1, reason));
    let mut said = node.lines("waiting for a service");
    // On a busy machine a request to Cassandra may have to be made again.
    said.retain(|line| line["service"] == "Redis");
    assert_eq!(said.len(), 1, "once: {said:?}");
    assert!(said[0]["error"].as_str().unwrap().contains("could not reach redis"), "{said:?}");
    redis.run();
    let address = node.ready();
    assert!(node.lines("the service is there").iter().any(|line| line["service"] == "Redis"));
    eventually("it is ready", || (node.asks("/readyz") == (200, "ready\n".to_owned())).then_some(()));
    assert!(TcpStream::connect(&address).is_ok());
    let asked = settings.run(&ask);
    assert_eq!((asked.code, asked.stdout.as_str()), (0, "ready\n"));
    let page = settings.run(&["ready", "--url", &format!("http://{address}/api/v1/openapi.json")]);
    assert_eq!((page.code, page.stdout.as_str()), (0, "ready\n"), "long answers are as good as short ones");

    redis.kill();
    assert_eq!(node.asks("/readyz").0, 200, "a later outage leaves it ready");
    redis.run();
    let (code, log) = node.end(Signal::TERM);
    assert_eq!(code, 0, "{log}");
    let asked = settings.run(&ask);
    assert_eq!(asked.code, 1);
    assert!(asked.stderr.contains("does not answer"), "{}", asked.stderr);
}

#[test]
fn a_node_without_any_service_waits_for_both_and_ends_at_once_when_it_is_told_to() {
    for signal in [Signal::INT, Signal::TERM] {
        let node = Starting::start(&settings(&format!("redis://{}", nowhere())).with("CASSANDRA__NODES", &nowhere()));
        eventually("it says what it waits for", || {
            (node.try_asks("/readyz")?.1 == "not ready: waiting for Redis, Cassandra\n").then_some(())
        });
        let begin = Instant::now();
        let (code, log) = node.end(signal);
        assert_eq!(code, 0, "{log}");
        assert!(begin.elapsed() < AT_ONCE, "{:?}", begin.elapsed());
    }
}

/// Whoever renews a certificate tells the node, which may just be waiting.
#[test]
fn a_node_that_waits_outlives_the_signal_to_read_its_certificate_again() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = make_certificate(folder.path(), "server");
    let settings = settings(&format!("redis://{}", nowhere()))
        .with("SERVER__TLS_CERTIFICATE", certificate.to_str().unwrap())
        .with("SERVER__TLS_KEY", folder.path().join("server.key").to_str().unwrap());
    let node = Starting::start(&settings);
    let waits = || (node.try_asks("/readyz")?.0 == 503).then_some(());
    eventually("it waits", waits);
    eventually("it has read its certificate", || {
        node.try_asks("/metrics")?.1.contains("bobchat_build_info").then_some(())
    });
    kill_process(Pid::from_child(&node.child), Signal::HUP).unwrap();
    eventually("it still waits", waits);
    assert_eq!(node.end(Signal::TERM).0, 0);
}

#[test]
fn what_only_the_operator_can_mend_ends_the_start_with_one_line() {
    let redis = RedisServer::start();
    redis.cli(&["SET", "bob:deployment", "other"]);
    let said = settings(&redis.url()).run(&["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("bobchat: redis belongs to deployment \"other\""), "{}", said.stderr);
}

/// At every level: what a library of a service logs is logged too.
#[test]
fn no_log_line_holds_the_password_of_a_service() {
    let redis = RedisServer::start();
    redis.cli(&["ACL", "SETUSER", "bobchat", "on", ">canary-redis", "~*", "&*", "+@all"]);
    let settings = settings(&redis.url())
        .with("TELEMETRY__LOG_FILTER", "trace")
        .with("REDIS__USERNAME", "bobchat")
        .with("REDIS__PASSWORD", "canary-redis")
        .with("CASSANDRA__USERNAME", "bobchat")
        .with("CASSANDRA__PASSWORD", "canary-cassandra");
    let mut node = Starting::start(&settings);
    node.ready();
    let refused = Starting::start(&settings.with("REDIS__PASSWORD", "canary-wrong"));
    eventually("it says that Redis refuses it", || {
        refused
            .log()
            .lines()
            .any(|line| line.contains("WRONGPASS") || line.contains("AuthenticationFailed"))
            .then_some(())
    });
    for log in [node.end(Signal::TERM).1, refused.log()] {
        assert!(log.lines().count() > 5, "{log}");
        let line = log.lines().find(|line| line.contains("canary"));
        assert!(line.is_none(), "{line:?}");
    }
}

#[test]
fn a_node_serves_over_a_redis_behind_tls_that_asks_for_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = make_certificate(folder.path(), "server");
    let key = folder.path().join("server.key");
    let port = free_port().to_string();
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let encrypted = ["--tls-port", &port, "--tls-key-file", key, "--tls-cert-file", certificate];
    let asking = ["--tls-auth-clients", "yes", "--tls-ca-cert-file", certificate];
    let redis = RedisServer::with(&[&encrypted[..], &asking].concat());
    let settings = settings(&format!("rediss://127.0.0.1:{port}")).with("REDIS__CERTIFICATES", certificate);
    let settings = settings.with("REDIS__CLIENT_CERTIFICATE", certificate).with("REDIS__CLIENT_KEY", key);
    let mut node = Starting::start(&settings);
    node.ready();
    // The welcome room is made by commands, and was heard of before: each kind of connection is there.
    let kinds = redis.cli(&["CLIENT", "LIST"]);
    let over_tls = kinds.lines().filter(|client| client.contains(&format!("laddr=127.0.0.1:{port} "))).count();
    assert_eq!(over_tls, 3, "commands, rooms, nodes: {kinds}");
    assert_eq!(node.end(Signal::TERM).0, 0);
}

#[test]
fn three_nodes_that_start_at_once_share_what_is_said() {
    let redis = RedisServer::start();
    let settings = settings(&redis.url());
    let mut nodes: Vec<_> = (0..3).map(|_| Starting::start(&settings)).collect();
    let addresses: Vec<_> = nodes.iter_mut().map(Starting::ready).collect();
    let url = |node: usize, path: &str| format!("http://{}/api/v1{path}", addresses[node]);
    let guest = patiently(|| ureq::post(url(0, "/guests")).send_json(serde_json::json!({"name": "Ada"})));
    let guest: Value = serde_json::from_str(&guest).unwrap();
    let bearer = format!("Bearer {}", guest["access_token"].as_str().unwrap());
    patiently(|| {
        let post = ureq::post(url(1, "/rooms/1/messages")).header("authorization", &bearer);
        let post = post.header("idempotency-key", "one");
        post.send_json(serde_json::json!({"text": "from one node to another"}))
    });
    let page = patiently(|| ureq::get(url(2, "/rooms/1/messages")).header("authorization", &bearer).call());
    assert!(page.contains("from one node to another"), "{page}");
    // Keys of others would do, but each key is one more that can be lost.
    let keys = |node: usize| ureq::get(format!("http://{}/.well-known/jwks.json", addresses[node]));
    let keys = [0, 1, 2].map(|node| keys(node).call().unwrap().body_mut().read_json::<Value>().unwrap());
    assert_eq!(keys[0]["keys"].as_array().unwrap().len(), 1, "{keys:?}");
    assert!(keys.iter().all(|known| known == &keys[0]), "{keys:?}");
    // The welcome room was made once.
    assert_eq!(page.matches("\"created\"").count(), 0);
    for node in nodes {
        let (code, log) = node.end(Signal::TERM);
        assert_eq!(code, 0, "{log}");
        assert!(!log.contains("not archived"), "{log}");
    }
}

#[test]
fn a_backup_of_a_cluster_is_refused_with_where_to_look() {
    let node = settings(&format!("redis://{}", nowhere())).with("CASSANDRA__NODES", cassandra::shared().address());
    for command in ["backup", "restore"] {
        let said = node.run(&[command, "/nonexistent/copy"]);
        assert_eq!(said.code, 1);
        assert!(said.stderr.contains("back up Cassandra with its own snapshots"), "{}", said.stderr);
    }
}
