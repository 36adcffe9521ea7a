//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::bench;
use crate::canary;
use crate::html;
use crate::run::{self, Outcome};
use crate::say::say;
use crate::server::{baseline, floor};
use crate::torture;

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
    /// Break servers under clients whose every message is checked.
    #[command(subcommand)]
    Torture(torture::cli::Command),
    /// Measure delivery from outside for as long as it runs, and tell Prometheus. With --once: exit codes as for run.
    Canary(Box<canary::Options>),
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
            Self::Canary(options) => on_one_thread(canary::run(*options)),
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
