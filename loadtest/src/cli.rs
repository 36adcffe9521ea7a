//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use bobchat_proto::codec::Format;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::bench;
use crate::client::{Shape, Target, read_tokens};
use crate::load::{Schedule, Until, Window};
use crate::process::Process;
use crate::report::{Report, say};
use crate::scenario::{self, Setting};
use crate::server::{baseline, floor};
use crate::torture::{Client, Plan, Torture};

/// How long a client that is tortured waits for an answer before it goes elsewhere.
const PATIENCE: Duration = Duration::from_secs(10);

/// Load whose every message is checked, and what to compare a server with.
#[derive(Debug, Parser)]
#[command(name = "bobchat-loadtest", version, about)]
pub(crate) enum Command {
    /// Run one load against a running server. Exit code 1: a promise was broken; 2: it could not run.
    #[command(subcommand)]
    Run(Run),
    /// Clients that keep every promise checked while you break the servers. Exit codes as for run.
    Torture(Torturing),
    /// Serve as the floor: one write() a member and burst, and nothing else.
    Floor(floor::Options),
    /// Serve a room as tutorials write it, with actix-web-actors.
    Baseline(Listen),
    /// Measure a release build against the bars. Exit code 1: a bar was missed.
    Bench(bench::Options),
    /// Measure nodes of a release build on real Redis and Cassandra against the bars. Exit codes as for bench.
    BenchCluster(bench::cluster::Options),
}

/// How to torture.
#[derive(Debug, Args)]
pub(crate) struct Torturing {
    /// HOST:PORT of a node; once for each, all of one cluster. Half of the clients move between them.
    #[arg(long = "node", required = true)]
    nodes: Vec<SocketAddr>,
    /// Rooms; every client is in all of them.
    #[arg(long, default_value_t = 4)]
    rooms: usize,
    /// Clients.
    #[arg(long, default_value_t = 12)]
    clients: usize,
    /// Messages a second of each client.
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// How long they talk.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// How long all may take to agree in the end.
    #[arg(long, default_value_t = 10.0)]
    agree: f64,
    /// Names the choices of the clients; the one of a run that failed makes the same again.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Where to listen.
#[derive(Debug, Args)]
pub(crate) struct Listen {
    /// Address; port 0 takes a free one. It is printed.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
}

/// The loads.
#[derive(Debug, Subcommand)]
pub(crate) enum Run {
    /// Bursts to rooms on an open-loop schedule: a stall counts, for latency begins at the intended send.
    Fanout {
        #[command(flatten)]
        common: Common,
        /// Messages to a room in one write.
        #[arg(long, default_value_t = 1)]
        burst: u64,
        /// Messages a second over all rooms.
        #[arg(long, default_value_t = 20.0)]
        rate: f64,
        /// Rooms that get their burst at the same moment.
        #[arg(long, default_value_t = 1)]
        together: usize,
    },
    /// As many messages as the server takes, each member keeping a window on the way.
    Throughput {
        #[command(flatten)]
        common: Common,
        /// Messages on the way at each member.
        #[arg(long, default_value_t = 32)]
        window: u64,
    },
    /// Members that stay connected and say nothing: what a connection costs. Needs --pid.
    Idle {
        #[command(flatten)]
        common: Common,
    },
}

/// What every load takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// http://HOST:PORT of Bobchat; floor://HOST:PORT or baseline://HOST:PORT of the others.
    #[arg(long)]
    target: Target,
    /// Rooms.
    #[arg(long, default_value_t = 2)]
    rooms: usize,
    /// Members of each room, each a user and a connection of its own.
    #[arg(long, default_value_t = 10)]
    members: usize,
    /// Length of a message in bytes.
    #[arg(long, default_value_t = 120)]
    bytes: usize,
    /// How long to send, or to be idle.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Format of the frames.
    #[arg(long, value_enum, default_value_t = FormatName::Protobuf)]
    format: FormatName,
    /// Users to be: lines of {"user":"..","access_token":".."} from `bobchat token --count N`. Guests
    /// are signed up without it.
    #[arg(long)]
    tokens: Option<PathBuf>,
    /// The server's process, to see what it uses.
    #[arg(long)]
    pid: Option<u32>,
    /// Where to write the report as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
}

/// A format by its name.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum FormatName {
    Json,
    Protobuf,
}

/// Does what the arguments of this process ask for, and says why when it cannot.
pub fn run() -> ExitCode {
    match Command::parse().run() {
        Ok(code) => code,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}

impl Command {
    /// Does what was asked.
    ///
    /// # Errors
    /// When it cannot be done; not when a promise was broken, which the exit code says.
    fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run(run) => on_one_thread(run.run()),
            Self::Torture(torturing) => torturing.run(),
            Self::Floor(options) => floor::serve(&options).map(|()| ExitCode::SUCCESS),
            Self::Baseline(listen) => baseline::serve(listen.listen).map(|()| ExitCode::SUCCESS),
            Self::Bench(options) => on_one_thread(bench::run(options)),
            Self::BenchCluster(options) => on_one_thread(bench::cluster::run(options)),
        }
    }
}

/// All members live on one thread: they share what they check, and the other core is the server's.
fn on_one_thread(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

impl Torturing {
    fn run(self) -> anyhow::Result<ExitCode> {
        ensure!(self.rooms > 0 && self.clients > 0 && self.rate > 0.0, "--rooms, --clients and --rate are above 0");
        let clients = (0..self.clients)
            .map(|number| if number % 2 == 0 { Client::of(number / 2) } else { Client::roaming() })
            .collect();
        let (nodes, rooms, rate, seed) = (self.nodes, self.rooms, self.rate, self.seed);
        let mut torture = Torture::start(Plan { nodes, rooms, clients, rate, patience: PATIENCE, seed })?;
        std::thread::sleep(Duration::from_secs_f64(self.seconds));
        torture.settle(Duration::from_secs_f64(self.agree))?;
        let verdict = torture.finish()?;
        say(&verdict.to_string());
        Ok(if verdict.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Run {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let (common, report) = match self {
            Self::Fanout { common, burst, rate, together } => {
                ensure!(rate > 0.0 && burst > 0 && together > 0, "--rate, --burst and --together are above 0");
                let schedule = Schedule { rate, burst, together, seconds: common.seconds };
                let report = scenario::fanout(&common.setting()?, schedule).await?;
                (common, report)
            }
            Self::Throughput { common, window } => {
                let window = Window { window, until: Until::Seconds(common.seconds) };
                let report = scenario::throughput(&common.setting()?, window).await?;
                (common, report)
            }
            Self::Idle { common } => {
                ensure!(common.pid.is_some(), "an idle run measures memory: it needs --pid");
                let report = scenario::idle(&common.setting()?, Duration::from_secs_f64(common.seconds)).await?;
                (common, report)
            }
        };
        common.publish(&report)
    }
}

impl Common {
    fn setting(&self) -> anyhow::Result<Setting> {
        ensure!(self.rooms > 0 && self.members > 0, "--rooms and --members are above 0");
        let format = match self.format {
            FormatName::Json => Format::Json,
            FormatName::Protobuf => Format::Protobuf,
        };
        Ok(Setting {
            target: self.target.clone().in_format(format),
            shape: Shape { rooms: self.rooms, members: self.members, receivers: self.members, bytes: self.bytes },
            tokens: self.tokens.as_deref().map(read_tokens).transpose()?,
            server: self.pid.map(Process::new),
        })
    }

    fn publish(&self, report: &Report) -> anyhow::Result<ExitCode> {
        say(&report.text());
        if let Some(path) = &self.report {
            report.save(path)?;
        }
        Ok(if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
