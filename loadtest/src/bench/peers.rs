//! Bobchat beside servers that people use for the same: equal rooms, payload and schedules, in one run, in turns with
//! the floor as in the bench.
//!
//! What they promise differs. Bobchat syncs each message to the disk before anybody sees it, Tinode leaves that to its
//! database, and the others keep messages in memory, if at all. So every figure stands beside what its server keeps, and acks are compared where the same is
//! kept.
//!
//! - [`cast`]: who takes part. [`given`]: those of them that run already. [`subject`]: one of all with members in it.
//! - [`deliveries`], [`acks`], [`memory`]: one file a kind of measurement.
//! - [`row`]: repetitions, ratios. [`output`]: what is said in the end.

mod acks;
mod cast;
mod deliveries;
mod given;
mod memory;
mod output;
mod row;
mod subject;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use clap::{Args, ValueEnum};

use super::child::{Cores, Installation};
use super::judge::Effort;
use crate::process::pin_this_thread;
use crate::run::allow_files;
use crate::say::say;
use given::Given;
use row::Row;

/// How to compare.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// The release build of the server.
    #[arg(long, default_value = "target/release/bobchat")]
    bobchat: PathBuf,
    /// Its configuration: raises rate limits and nothing else.
    #[arg(long, default_value = "loadtest/bench.toml")]
    config: PathBuf,
    /// The room on Socket.IO that is started here.
    #[arg(long, default_value = "loadtest/peers/socketio.mjs")]
    socketio: PathBuf,
    #[command(flatten)]
    given: Given,
    /// Where to write peers.json, peers.md and the server's log.
    #[arg(long, default_value = "target/bench-peers")]
    out: PathBuf,
    /// Measure this alone; may be given several times.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// The core of the servers.
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// The core of the harness.
    #[arg(long, default_value_t = 1)]
    client_core: usize,
    /// How long each measurement of a repetition takes.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Repetitions that are needed.
    #[arg(long, default_value_t = 5)]
    kept: usize,
    /// Repetitions that are tried.
    #[arg(long, default_value_t = 15)]
    most: usize,
    /// Connections that are idle; a multiple of 100.
    #[arg(long, default_value_t = 1_000)]
    idle_connections: usize,
    /// How long they are.
    #[arg(long, default_value_t = 10)]
    idle_seconds: u64,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// CPU of a delivery.
    Deliveries,
    /// Acked messages a second.
    Acks,
    /// Memory of an idle connection.
    Memory,
}

impl Options {
    const fn effort(&self) -> Effort {
        Effort { kept: self.kept, most: self.most }
    }

    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

/// One comparison.
struct Comparison {
    options: Options,
    installation: Installation,
    rows: Vec<Row>,
}

impl Comparison {
    /// Takes a row that was measured, and says it at once: the whole takes minutes.
    fn take(&mut self, row: Row) {
        say(&output::row_text(&row));
        self.rows.push(row);
    }
}

/// Compares, says and writes the outcome.
///
/// # Errors
/// When it cannot be compared. That Bobchat loses somewhere is none: the report says so.
pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    ensure!(cores >= 2, "comparing needs two cores: one for the servers and one for the harness");
    let packages = options.socketio.with_file_name("node_modules");
    ensure!(packages.is_dir(), "{} is not there: `make bench-peers` installs it", packages.display());
    ensure!(
        options.idle_connections >= 100 && options.idle_connections.is_multiple_of(100),
        "--idle-connections is a multiple of 100: whole rooms, and a tenth of them come first"
    );
    allow_files();
    pin_this_thread(options.client_core)?;
    let apart = Cores { server: options.server_core, client: options.client_core };
    let installation = Installation::new(&options.bobchat, &options.config, &options.out, Some(apart))?;
    let mut comparison = Comparison { options, installation, rows: Vec::new() };
    if comparison.options.wants(Part::Deliveries) {
        deliveries::measure(&mut comparison).await?;
    }
    if comparison.options.wants(Part::Acks) {
        acks::measure(&mut comparison).await?;
    }
    if comparison.options.wants(Part::Memory) {
        memory::measure(&mut comparison).await?;
    }
    output::publish(&comparison.options.out, &comparison.rows)?;
    Ok(ExitCode::SUCCESS)
}
