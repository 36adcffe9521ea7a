//! Real Cassandra nodes on loopback, as processes.

use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::ports::free_port_at;

/// What a start may take on a machine that builds beside it; usual are 10 s.
const START_MAX: Duration = Duration::from_secs(180);

/// One node that serves all tests of this binary but those that break theirs.
///
/// It is never dropped, nor need it be: it lives as long as this process holds the other end of its standard input.
pub(crate) fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| {
        let (port, storage_port) = free_ports(&["127.0.0.1"]);
        Server::start("127.0.0.1", port, storage_port, "127.0.0.1", "")
    })
}

/// Three nodes that know each other, on 127.0.0.1 to 127.0.0.3. Started one after another: nodes that join at the
/// same time may choose the same places.
pub(crate) fn ring() -> [Server; 3] {
    let addresses = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
    let (port, storage_port) = free_ports(&addresses);
    addresses.map(|address| Server::start(address, port, storage_port, "127.0.0.1", ""))
}

/// A node of Cassandra. Dropping it ends it and removes its data.
pub(crate) struct Server {
    /// Runs the server, and holds its standard input.
    starter: Child,
    folder: PathBuf,
    address: String,
}

impl Server {
    /// Starts a node and waits until it serves; `extra` is added to its configuration.
    pub(crate) fn start(address: &str, port: u16, storage_port: u16, seed: &str, extra: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("cassandra-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("extra.yaml"), extra).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/cassandra/start");
        let mut command = Command::new(script);
        command.arg(&folder).arg(address).arg(port.to_string()).arg(storage_port.to_string());
        // A process group of its own, so that all of it can be killed at once.
        command.arg(format!("{seed}:{storage_port}")).stdin(Stdio::piped()).process_group(0);
        let starter = command.spawn().expect("scripts/cassandra/start can be run");
        let mut server = Self { starter, folder, address: format!("{address}:{port}") };
        server.wait_until_it_serves();
        server
    }

    /// `host:port` for clients.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What the node said of itself.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap()
    }

    /// Ends the node as a power cut does.
    pub(crate) fn kill(&mut self) {
        self.signal(rustix::process::Signal::KILL);
        self.starter.wait().unwrap();
    }

    /// Sends a signal to all processes of the node: stopped, it stands where it is and answers nothing.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let group = rustix::process::Pid::from_child(&self.starter);
        rustix::process::kill_process_group(group, signal).unwrap();
    }

    fn wait_until_it_serves(&mut self) {
        let started = Instant::now();
        while TcpStream::connect(&self.address).is_err() {
            let ended = self.starter.try_wait().unwrap();
            assert!(ended.is_none(), "Cassandra did not start ({ended:?}); run scripts/need cassandra");
            assert!(started.elapsed() < START_MAX, "Cassandra at {} does not serve", self.address);
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.starter.stdin.take());
        // Fails only for a node that was killed before, with its starter.
        drop(self.starter.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// Two ports of all these addresses: for clients, and for the other nodes.
pub(crate) fn free_ports(addresses: &[&str]) -> (u16, u16) {
    (free_port_at(addresses), free_port_at(addresses))
}
