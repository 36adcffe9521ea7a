//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use clap::{Args, Parser, Subcommand};

use crate::bench;
use crate::html;
use crate::run::{self, Outcome};
use crate::say::say;
use crate::server::{baseline, floor};
use crate::torture::{Client, Plan, Torture};

/// How long a client that is tortured waits for an answer before it goes elsewhere.
const PATIENCE: Duration = Duration::from_secs(10);

/// Load whose every message is checked, and what to compare a server with.
#[derive(Debug, Parser)]
#[command(name = "bobchat-loadtest", version, about)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

/// What it can do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run a scenario against running servers. Exit code 1: a promise was broken; 2: it could not run.
    Run(Box<run::Arguments>),
    /// Make a page of one result of run, or of two side by side.
    Report(Reporting),
    /// One process of a run in several; `run` starts it.
    #[command(name = run::PART, hide = true)]
    Part,
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
    /// Measure a release build beside Socket.IO and other servers that people use; says where Bobchat loses.
    BenchPeers(bench::peers::Options),
}

/// What to report of.
#[derive(Debug, Args)]
struct Reporting {
    /// What `run --json` wrote.
    a: PathBuf,
    /// Another one to stand beside it.
    b: Option<PathBuf>,
    /// Where to write the page.
    #[arg(long)]
    html: PathBuf,
}

/// How to torture.
#[derive(Debug, Args)]
struct Torturing {
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
struct Listen {
    /// Address; port 0 takes a free one. It is printed.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// Does what the arguments of this process ask for, and says why when it cannot.
pub fn run() -> ExitCode {
    match Program::parse().command.run() {
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
            Self::Run(arguments) => on_one_thread(arguments.run()),
            Self::Report(reporting) => reporting.run(),
            Self::Part => on_one_thread(run::serve_part()),
            Self::Torture(torturing) => torturing.run(),
            Self::Floor(options) => floor::serve(&options).map(|()| ExitCode::SUCCESS),
            Self::Baseline(listen) => baseline::serve(listen.listen).map(|()| ExitCode::SUCCESS),
            Self::Bench(options) => on_one_thread(bench::run(options)),
            Self::BenchCluster(options) => on_one_thread(bench::cluster::run(options)),
            Self::BenchPeers(options) => on_one_thread(bench::peers::run(options)),
        }
    }
}

/// All members live on one thread: they share what they check, and the other core is the server's.
fn on_one_thread(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

impl Reporting {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let outcomes = [Some(&self.a), self.b.as_ref()].into_iter().flatten();
        let outcomes = outcomes.map(|path| Outcome::load(path)).collect::<anyhow::Result<Vec<_>>>()?;
        html::write(&self.html, &outcomes.iter().collect::<Vec<_>>())?;
        say(&format!("wrote {}", self.html.display()));
        Ok(ExitCode::SUCCESS)
    }
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
