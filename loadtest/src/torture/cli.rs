//! Torture on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use clap::{Args, Subcommand, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use super::conduct::{conduct, planned as planned_faults};
use super::judge::judge;
use super::nemesis::fault::Fault;
use super::{Client, Plan, Torture, planted};
use crate::say::say;

/// How long a client waits for an answer before it goes elsewhere.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two faults when nothing else is said, in seconds.
const EVERY_EMBEDDED: f64 = 6.0;
const EVERY_CLUSTER: f64 = 12.0;

/// What can be done with it.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start servers, break them by a schedule under clients, and judge every message. Exit code 0: every promise was
    /// kept; 1: one was broken; 2: the run proves nothing, or could not be run.
    Run(Box<Order>),
    /// Judge the history that a run wrote, and read nothing else. Exit codes as for run.
    Check(Checking),
    /// Plant each bug that a process can show, and see it found by the invariant that names it, and the same run clean
    /// without it. Exit code 1: one was not found.
    Planted(Planting),
    /// Clients that keep every promise checked at nodes that run already, while you break them. Exit codes as for run.
    Load(Loading),
}

/// What to check.
#[derive(Debug, Args)]
pub(crate) struct Checking {
    /// The folder of the history: DIR/history of a run with --out DIR.
    folder: PathBuf,
}

/// What the servers keep messages in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Store {
    /// One node with its own store.
    Embedded,
    /// Nodes that share a Redis and a Cassandra.
    Cluster,
}

impl Store {
    /// Its name, as the command line has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Cluster => "cluster",
        }
    }
}

/// A run.
#[derive(Debug, Clone, Args)]
pub struct Order {
    /// Names the choices of clients and faults: the same seed, the same schedule.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How long the clients talk while servers are broken.
    #[arg(long, default_value_t = 60.0)]
    pub secs: f64,
    /// What the servers keep messages in.
    #[arg(long, value_enum, default_value_t = Store::Embedded)]
    pub store: Store,
    /// Nodes, 1 to 3; more than one for a cluster alone.
    #[arg(long, default_value_t = 1)]
    pub nodes: usize,
    /// Kinds of faults, separated by commas; without it every kind that the store can meet, `clock` apart. `none` breaks nothing.
    #[arg(long, value_delimiter = ',')]
    pub faults: Vec<String>,
    /// Seconds between the beginnings of two faults; a third of them overlap all the same.
    #[arg(long)]
    pub every: Option<f64>,
    /// Clients, each a user of its own.
    #[arg(long, default_value_t = 60)]
    pub clients: usize,
    /// Rooms; each client is in two or three.
    #[arg(long, default_value_t = 8)]
    pub rooms: usize,
    /// Messages a second of each client.
    #[arg(long, default_value_t = 8.0)]
    pub rate: f64,
    /// The server.
    #[arg(long, default_value = "target/debug/bobchat")]
    pub bobchat: PathBuf,
    /// The Redis of a cluster.
    #[arg(long, default_value = "redis-server")]
    pub redis_server: PathBuf,
    /// HOST:PORT of a Cassandra that runs; without it one is started, as `scripts/need cassandra` installs it.
    #[arg(long)]
    pub cassandra: Option<String>,
    /// What an ack of a cluster says (cluster.ack): `log` or `history`.
    #[arg(long, default_value = "log", value_parser = ["log", "history"])]
    pub ack: String,
    /// A bug to plant, for a build that can have one: it must be found.
    #[arg(long)]
    pub plant: Option<String>,
    /// Where to write the history, and the servers' logs and data if something is found.
    #[arg(long, default_value = "target/torture")]
    pub out: PathBuf,
    /// Fewer acknowledged messages prove nothing.
    #[arg(long, default_value_t = 100)]
    pub acks_min: u64,
    /// Seconds that it may take after a fault until a message is acknowledged again; without it 2, and 10 for a cluster.
    #[arg(long)]
    pub recovery: Option<f64>,
    /// Keep the servers' logs and data also if nothing is found.
    #[arg(long)]
    pub keep: bool,
    /// Show what would be broken when, and run nothing.
    #[arg(long)]
    pub print_schedule: bool,
    /// Say nothing while it runs.
    #[arg(long)]
    pub quiet: bool,
}

/// Which bugs to plant.
#[derive(Debug, Args)]
pub(crate) struct Planting {
    /// Those that this store shows; without it all.
    #[arg(long, value_enum)]
    store: Option<Store>,
    /// A build of the server for tests.
    #[arg(long, default_value = "target/debug/bobchat")]
    bobchat: PathBuf,
    /// The Redis of a cluster.
    #[arg(long, default_value = "redis-server")]
    redis_server: PathBuf,
    /// HOST:PORT of a Cassandra that runs; without it each run of a cluster starts one.
    #[arg(long)]
    cassandra: Option<String>,
    /// Where to write the histories, one folder a bug.
    #[arg(long, default_value = "target/torture-planted")]
    out: PathBuf,
}

/// Nodes that run already.
#[derive(Debug, Args)]
pub(crate) struct Loading {
    /// HOST:PORT of a node; once for each, all of one cluster.
    #[arg(long = "node", required = true)]
    nodes: Vec<SocketAddr>,
    /// Rooms; every client is in all of them.
    #[arg(long, default_value_t = 4)]
    rooms: usize,
    /// Clients.
    #[arg(long, default_value_t = 12)]
    clients: usize,
    /// How many of them come and go, to any node, every half second; without it half of them.
    #[arg(long)]
    roaming: Option<usize>,
    /// Messages a second of each client.
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// How long they talk; Ctrl-C and SIGTERM end it earlier, and what was said is judged.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// How long all may take to agree in the end.
    #[arg(long, default_value_t = 10.0)]
    agree: f64,
    /// Names the choices of the clients; the one of a run that failed makes the same again.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Command {
    /// Does what was asked.
    ///
    /// # Errors
    /// When it cannot be done; not when a promise was broken, which the exit code says.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run(order) if order.print_schedule => {
                order.check()?;
                planned_faults(&order)?.iter().for_each(|planned| say(&planned.line()));
                Ok(ExitCode::SUCCESS)
            }
            Self::Run(order) => {
                let judgement = conduct(&order)?;
                say(&judgement.to_string());
                let history = order.out.join("history");
                say(&format!("to judge it again: bobchat-loadtest torture check {}", history.display()));
                Ok(judgement.exit_code())
            }
            Self::Check(checking) => {
                let judgement = judge(&checking.folder)?;
                say(&judgement.to_string());
                Ok(judgement.exit_code())
            }
            Self::Planted(planting) => planting.run(),
            Self::Load(loading) => loading.run(),
        }
    }
}

impl Order {
    /// An order of the server `bobchat` that writes to `out`; all else as on the command line without options.
    #[must_use]
    pub fn new(bobchat: PathBuf, out: PathBuf) -> Self {
        Self {
            seed: 1,
            secs: 60.0,
            store: Store::Embedded,
            nodes: 1,
            faults: Vec::new(),
            every: None,
            clients: 60,
            rooms: 8,
            rate: 8.0,
            bobchat,
            redis_server: PathBuf::from("redis-server"),
            cassandra: None,
            ack: "log".to_owned(),
            plant: None,
            out,
            acks_min: 100,
            recovery: None,
            keep: false,
            print_schedule: false,
            quiet: false,
        }
    }

    /// The kinds of faults.
    ///
    /// # Errors
    /// When one does not exist, or the store cannot meet it.
    pub(super) fn faults(&self) -> anyhow::Result<Vec<Fault>> {
        let possible: &[Fault] = match self.store {
            Store::Embedded => &Fault::EMBEDDED,
            Store::Cluster => &Fault::CLUSTER,
        };
        if self.faults.is_empty() {
            let needs_own = |fault: &Fault| fault.is_of_cassandra() && self.cassandra.is_some();
            let is_alone = |fault: &Fault| fault.needs_others() && self.nodes == 1;
            let usual = |fault: &Fault| *fault != Fault::Clock && !needs_own(fault) && !is_alone(fault);
            return Ok(possible.iter().copied().filter(usual).collect());
        }
        let names = || possible.iter().map(|fault| fault.name()).collect::<Vec<_>>().join(", ");
        let mut faults = Vec::new();
        for name in self.faults.iter().filter(|name| *name != "none") {
            let found = possible.iter().find(|fault| fault.name() == *name);
            ensure!(found.is_some(), "--faults {name}: with --store {} there are {}", self.store.name(), names());
            faults.extend(found);
        }
        Ok(faults)
    }

    /// Seconds between two faults.
    pub(super) fn every(&self) -> f64 {
        self.every.unwrap_or(if self.store == Store::Cluster { EVERY_CLUSTER } else { EVERY_EMBEDDED })
    }
}

impl Planting {
    fn run(self) -> anyhow::Result<ExitCode> {
        let Self { store, bobchat, redis_server, cassandra, out } = self;
        planted::must_exist(&bobchat)?;
        let like = Order { redis_server, cassandra, quiet: true, ..Order::new(bobchat, out) };
        let wrong = planted::run_all(&like, store)?;
        Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Loading {
    fn run(self) -> anyhow::Result<ExitCode> {
        ensure!(self.rooms > 0 && self.clients > 0 && self.rate > 0.0, "--rooms, --clients and --rate are above 0");
        let roaming = self.roaming.unwrap_or(self.clients / 2);
        let clients = (0..self.clients)
            .map(|number| if number < roaming { Client::roaming() } else { Client::of(number) })
            .collect();
        let (nodes, rooms, rate, seed) = (self.nodes, self.rooms, self.rate, self.seed);
        let mut torture =
            Torture::start(Plan { nodes, rooms, clients, abusers: 0, rate, patience: PATIENCE, seed, history: None })?;
        talk_until_told(Duration::from_secs_f64(self.seconds))?;
        torture.settle(Duration::from_secs_f64(self.agree))?;
        let verdict = torture.finish()?;
        say(&verdict.to_string());
        Ok(if verdict.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Waits for so long, or until somebody wants the verdict. Who breaks servers does not know before how long it takes.
fn talk_until_told(most: Duration) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut interrupted, mut told) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            () = tokio::time::sleep(most) => {}
            _ = interrupted.recv() => {}
            _ = told.recv() => {}
        }
        Ok(())
    })
}
