//! What the tests of the harness need: a server, a proxy that breaks promises, and the harness itself.

pub mod door;
pub mod mini;
pub mod proxy;
pub mod tinode;
mod ws;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A process that ends with its test.
pub struct Running(Child);

impl Running {
    /// The process's number.
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The server under test: `BOBCHAT_BIN` where it is set, else the small one of these tests.
pub struct Server {
    pub address: SocketAddr,
    _running: Option<(Running, tempfile::TempDir)>,
}

impl Server {
    pub fn start() -> Self {
        match std::env::var_os("BOBCHAT_BIN") {
            Some(binary) => Self::start_real(&binary),
            None => Self { address: mini::start(mini::Behaviour::Honest), _running: None },
        }
    }

    fn start_real(binary: &std::ffi::OsStr) -> Self {
        let data = tempfile::tempdir().unwrap();
        let (address, admin) = (free_address(), free_address());
        let child = Command::new(binary)
            .args(["--config", concat!(env!("CARGO_MANIFEST_DIR"), "/bench.toml")])
            .args(["--listen", &address.to_string(), "--admin-listen", &admin.to_string()])
            .arg("--data")
            .arg(data.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let running = Running(child);
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_ready(admin) {
            assert!(Instant::now() < deadline, "the server did not become ready");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { address, _running: Some((running, data)) }
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn is_ready(admin: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(admin) else { return false };
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

/// The harness with these arguments, to its end.
pub fn harness(arguments: &[impl AsRef<std::ffi::OsStr>]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bobchat-loadtest")).args(arguments).output().unwrap()
}

/// The harness as a server; gives its address.
pub fn harness_server(arguments: &[&str]) -> (SocketAddr, Running) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bobchat-loadtest"));
    let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
    (address, Running(child))
}

/// What the harness printed.
pub fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
