//! The bars of a cluster, measured and judged: nodes, a Redis for each row, one Cassandra.
//!
//! All of them and the harness share the cores of one machine. CPU per delivery, counts of commands and depths of
//! history are robust against that; rates and latencies are what is left of the machine beside everything else on it.
//!
//! - [`rows`]: what is measured, and the goals.
//! - [`round_trips`], [`idle`], [`sends`], [`deliveries`], [`history`], [`archive`], [`cold`], [`rolling`]: one file a kind.
//! - [`site`], [`redis`], [`crate::cassandra`]: the servers. [`bare`]: what sends are compared with. [`monitor`]: what
//!   clients ask of Redis. [`output`]: what is said in the end.

mod archive;
mod bare;
mod cold;
mod deliveries;
mod history;
mod idle;
mod monitor;
mod output;
mod redis;
mod rolling;
mod round_trips;
mod rows;
mod sends;
mod site;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum as _};

use super::child::Installation;
use super::judge::{Effort, Judged as _, Line};
use super::output::line_text;
use crate::cassandra::{Cassandra, Manner};
use crate::check::Violations;
use crate::say::say;
use rows::Row;

/// Rooms of the row with many.
const MANY_ROOMS: usize = 100;

/// How to measure a cluster.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// The release build of the server.
    #[arg(long, default_value = "target/release/bobchat")]
    bobchat: PathBuf,
    /// Its configuration: raises rate limits and nothing else.
    #[arg(long, default_value = "loadtest/bench.toml")]
    config: PathBuf,
    /// Where to write cluster.json, cluster.md and the servers' log.
    #[arg(long, default_value = "target/bench-cluster")]
    out: PathBuf,
    /// Measure this row alone; may be given several times.
    #[arg(long, value_enum)]
    row: Vec<Row>,
    /// How long each measurement of a repetition takes.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Repetitions that are needed.
    #[arg(long, default_value_t = 5)]
    kept: usize,
    /// Repetitions that are tried.
    #[arg(long, default_value_t = 15)]
    most: usize,
    /// Members of the large room.
    #[arg(long, default_value_t = 1_000)]
    members: usize,
    /// Connections that are idle.
    #[arg(long, default_value_t = 5_000)]
    idle_connections: usize,
    /// How long they are watched.
    #[arg(long, default_value_t = 60)]
    idle_seconds: u64,
    /// How deep the far page of history is, in messages.
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
    /// Messages a second that are archived.
    #[arg(long, default_value_t = 2_000.0)]
    rate: f64,
    /// How long each round of them is.
    #[arg(long, default_value_t = 20.0)]
    load_seconds: f64,
    /// How often Cassandra stands still.
    #[arg(long, default_value_t = 3)]
    pauses: usize,
    /// How long.
    #[arg(long, default_value_t = 60.0)]
    pause_seconds: f64,
    /// Rooms whose logs are lost.
    #[arg(long, default_value_t = 10_000)]
    cold_rooms: usize,
}

impl Options {
    const fn effort(&self) -> Effort {
        Effort { kept: self.kept, most: self.most }
    }
}

/// One run.
struct Bench {
    options: Options,
    installation: Installation,
    lines: Vec<Line>,
    keyspaces: u32,
    // Ends last, with its folder.
    cassandra: Cassandra,
    _folder: tempfile::TempDir,
}

/// Measures, says and writes the outcome.
///
/// # Errors
/// When the servers do not start; a row that cannot be measured, and a missed bar, are an exit code.
pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let installation = Installation::new(&options.bobchat, &options.config, &options.out, None)?;
    let folder = tempfile::tempdir()?;
    let cassandra = Cassandra::start(&folder.path().join("cassandra"), Manner::AsOperated)?;
    let mut bench = Bench { options, installation, lines: Vec::new(), keyspaces: 0, cassandra, _folder: folder };
    let mut unmeasured = 0;
    for row in Row::value_variants() {
        if bench.wants(*row)
            && let Err(error) = bench.measure(*row).await
        {
            say(&format!("{}: could not be measured: {error:#}", row.title()));
            unmeasured += 1;
        }
    }
    output::publish(&bench.options, &bench.lines)?;
    let missed = unmeasured > 0 || bench.lines.iter().any(|line| line.verdict.is_failure());
    Ok(if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Bench {
    async fn measure(&mut self, row: Row) -> anyhow::Result<()> {
        match row {
            Row::RoundTrips => round_trips::measure(self).await,
            Row::Idle => idle::measure(self).await,
            Row::SendsOne => sends::measure(self, row, 1).await,
            Row::SendsMany => sends::measure(self, row, MANY_ROOMS).await,
            Row::Heard => deliveries::heard(self).await,
            Row::Split => deliveries::split(self).await,
            Row::History => history::measure(self).await,
            Row::ArchiveLag => archive::measure(self).await,
            // Measured with the row before, on the same rooms.
            Row::CassandraPaused if self.wants(Row::ArchiveLag) => Ok(()),
            Row::CassandraPaused => archive::measure(self).await,
            Row::Cold => cold::measure(self).await,
            Row::Rolling => rolling::measure(self).await,
        }
    }

    fn wants(&self, row: Row) -> bool {
        self.options.row.is_empty() || self.options.row.contains(&row)
    }

    /// Takes a line that was measured, and says it at once: the whole takes most of an hour.
    fn take(&mut self, line: Line) {
        say(&line_text(&line));
        self.lines.push(line);
    }

    /// A name that no other row of this run has.
    fn new_keyspace(&mut self) -> String {
        self.keyspaces += 1;
        format!("bench_{}", self.keyspaces)
    }
}

/// A broken promise makes the figures worthless.
fn must_be_kept(violations: Violations) -> anyhow::Result<()> {
    anyhow::ensure!(violations.is_empty(), "a promise was broken: {:?}", violations.examples);
    Ok(())
}
