//! The bars of Bobchat, measured and judged: the server on one core, the harness on the other.
//!
//! - [`bars`]: what is measured, and the goals. [`judge`]: repetitions, ratios, verdicts.
//! - [`fanout`], [`window`], [`idle`], [`tls`], [`history`], [`start`], [`telemetry`], [`hostile`], [`harness`]: one file a
//!   kind of measurement.
//! - [`cluster`]: the bars of nodes that share Redis and Cassandra. [`peers`]: Bobchat beside servers that people use.
//! - [`child`]: the servers. [`output`] and [`chart`]: what is said in the end.

mod bars;
mod chart;
pub(crate) mod child;
pub(crate) mod cluster;
mod fanout;
mod harness;
mod history;
mod hostile;
mod idle;
mod judge;
mod output;
pub(crate) mod peers;
mod start;
mod telemetry;
mod tls;
mod window;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use clap::Args;

use crate::process::pin_this_thread;
use bars::Bar;
use child::{Cores, Installation};
use judge::{Effort, Line};

/// How to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// The release build of the server.
    #[arg(long, default_value = "target/release/bobchat")]
    pub(crate) bobchat: PathBuf,
    /// Its configuration: raises rate limits and nothing else.
    #[arg(long, default_value = "loadtest/bench.toml")]
    pub(crate) config: PathBuf,
    /// Where to write bench.json, bench.md and the server's log.
    #[arg(long, default_value = "target/bench")]
    pub(crate) out: PathBuf,
    /// Where to draw the chart, once all lines of fan-out are measured.
    #[arg(long, default_value = "docs/images/bench.svg")]
    pub(crate) chart: PathBuf,
    /// Measure this line alone; may be given several times.
    #[arg(long, value_enum)]
    pub(crate) only: Vec<Bar>,
    /// The core of the servers.
    #[arg(long, default_value_t = 0)]
    pub(crate) server_core: usize,
    /// The core of the harness.
    #[arg(long, default_value_t = 1)]
    pub(crate) client_core: usize,
    /// How long each measurement of a repetition takes.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) seconds: f64,
    /// Repetitions that are needed.
    #[arg(long, default_value_t = 5)]
    pub(crate) kept: usize,
    /// Repetitions that are tried.
    #[arg(long, default_value_t = 15)]
    pub(crate) most: usize,
    /// Connections that are idle.
    #[arg(long, default_value_t = 5_000)]
    pub(crate) idle_connections: usize,
    /// How long they are.
    #[arg(long, default_value_t = 60)]
    pub(crate) idle_seconds: u64,
    /// Messages stored before history and starting are measured.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) messages: u64,
}

impl Options {
    const fn effort(&self) -> Effort {
        Effort { kept: self.kept, most: self.most }
    }
}

/// One run of the bench.
pub(crate) struct Bench {
    options: Options,
    installation: Installation,
    lines: Vec<Line>,
}

/// Measures, says and writes the outcome.
///
/// # Errors
/// When it cannot be measured; a missed bar is an exit code.
pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    ensure!(cores >= 2, "the bench needs two cores: one for the server and one for the harness");
    pin_this_thread(options.client_core)?;
    let apart = Cores { server: options.server_core, client: options.client_core };
    let installation = Installation::new(&options.bobchat, &options.config, &options.out, Some(apart))?;
    let mut bench = Bench { options, installation, lines: Vec::new() };
    bench.measure().await?;
    output::publish(&bench.options, &bench.lines)?;
    let missed = bench.lines.iter().any(|line| line.verdict.is_failure());
    Ok(if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Bench {
    async fn measure(&mut self) -> anyhow::Result<()> {
        fanout::one_room(self).await?;
        fanout::many_rooms(self).await?;
        telemetry::measure(self).await?;
        window::measure(self).await?;
        idle::measure(self).await?;
        tls::measure(self).await?;
        if self.wants(Bar::History) || self.wants(Bar::Start) || self.wants(Bar::StartAfterKill) {
            let filled = history::fill(self).await?;
            let filled = history::measure(self, filled).await?;
            start::measure(self, filled).await?;
        }
        hostile::measure(self).await?;
        harness::measure(self).await
    }

    fn wants(&self, bar: Bar) -> bool {
        self.options.only.is_empty() || self.options.only.contains(&bar)
    }

    /// Takes a line that was measured, and says it at once: the whole takes tens of minutes.
    fn take(&mut self, line: Line) {
        crate::say::say(&output::line_text(&line));
        self.lines.push(line);
    }
}
