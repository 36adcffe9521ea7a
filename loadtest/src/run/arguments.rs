//! What a run is asked for.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};

use super::conduct::{self, Plan};
use super::find_max;
use super::monitor::Watched;
use super::spread::{Spread, allow_files};
use crate::client::{Target, read_tokens};
use crate::html;
use crate::process::Process;
use crate::say::say;
use crate::scenario::{self, Scenario};

/// A run.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A scenario: one of `--list`, or the path of a file.
    #[arg(required_unless_present = "list")]
    scenario: Option<String>,
    /// List the scenarios.
    #[arg(long)]
    list: bool,
    /// http://HOST:PORT or https://HOST:PORT of Bobchat, once for each node; floor://, baseline://, socketio://, centrifugo:// or
    /// tinode://HOST:PORT[?apikey=KEY] of others.
    #[arg(long = "target", required_unless_present = "list")]
    targets: Vec<Target>,
    /// A PEM file with the authorities that sign the certificates of https:// targets; those that this machine trusts
    /// without it.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Set KEY=VALUE of the scenario, such as send.per_second=50; may be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    short: Short,
    /// Format of the frames.
    #[arg(long, value_enum, default_value_t = FormatName::Protobuf)]
    format: FormatName,
    /// Users to be: lines of {"user":"..","access_token":".."} from `bobchat token --count N`. Guests
    /// are signed up without it.
    #[arg(long)]
    tokens: Option<PathBuf>,
    /// A server's process, to see what it uses; once for each.
    #[arg(long = "pid")]
    pids: Vec<u32>,
    /// A server's page of metrics, http://HOST:PORT/metrics; once for each target. What it counts is held against what
    /// clients saw.
    #[arg(long = "metrics-url", value_name = "URL")]
    metrics: Vec<String>,
    /// A file of what somebody breaks meanwhile: lines of {"name":"..","from_ms":..,"until_ms":..}, since 1970.
    #[arg(long)]
    marks: Option<PathBuf>,
    /// Where to write the result as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where to write it as a page to look at.
    #[arg(long)]
    html: Option<PathBuf>,
    /// Processes of the harness; as many as the connections need without it.
    #[arg(long)]
    processes: Option<usize>,
    /// Connect from 127.0.0.1 and so many addresses in all; as many as the connections need without it.
    #[arg(long)]
    sources: Option<usize>,
    /// Raise users until a bound of the scenario breaks, and report the highest load that held.
    #[arg(long)]
    find_max: bool,
}

/// The keys that are set most often.
#[derive(Debug, Args)]
struct Short {
    /// Rooms.
    #[arg(long)]
    rooms: Option<usize>,
    /// Members of each room, each a user and a connection of its own.
    #[arg(long)]
    members: Option<usize>,
    /// Length of a message in bytes.
    #[arg(long)]
    bytes: Option<usize>,
    /// How long it goes on.
    #[arg(long)]
    seconds: Option<f64>,
    /// Messages a second over all rooms: send.per_second.
    #[arg(long)]
    rate: Option<f64>,
    /// Messages to a room in one write: send.burst.
    #[arg(long)]
    burst: Option<u64>,
    /// Rooms that get their burst at the same moment: send.together.
    #[arg(long)]
    together: Option<usize>,
    /// Messages on the way at each member: window.messages.
    #[arg(long)]
    window: Option<u64>,
}

/// A format by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatName {
    Json,
    Protobuf,
}

/// A result that cannot be written is told before a run of hours, not after it.
fn has_folder(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    ensure!(folder.is_dir(), "could not write {}: {} is no folder", path.display(), folder.display());
    ensure!(!path.is_dir(), "could not write {}: it is a folder", path.display());
    Ok(())
}

impl Short {
    /// The same as KEY=VALUE.
    fn set(&self) -> Vec<String> {
        let text = |value: Option<usize>| value.map(|value| value.to_string());
        let all = [
            ("rooms", text(self.rooms)),
            ("members", text(self.members)),
            ("bytes", text(self.bytes)),
            ("seconds", self.seconds.map(|value| format!("{value:?}"))),
            ("send.per_second", self.rate.map(|value| format!("{value:?}"))),
            ("send.burst", self.burst.map(|value| value.to_string())),
            ("send.together", text(self.together)),
            ("window.messages", self.window.map(|value| value.to_string())),
        ];
        all.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", value?))).collect()
    }
}

impl Arguments {
    /// Runs, says what came of it, and writes it down. Exit code 1: a promise was broken, or no load held.
    ///
    /// # Errors
    /// When it cannot be run.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        if self.list {
            say(&scenario::list()?);
            return Ok(ExitCode::SUCCESS);
        }
        let (plan, scenario) = (self.plan()?, self.scenario()?);
        [&self.json, &self.html].into_iter().flatten().try_for_each(|path| has_folder(path))?;
        allow_files();
        let (outcome, is_good) = if self.find_max {
            let outcome = find_max::run(&plan, &scenario).await?;
            let search = outcome.search.as_ref().context("a search was made")?;
            say(&search.text());
            let held = search.highest.is_some();
            (outcome, held)
        } else {
            let outcome = conduct::run(&plan, &scenario).await?;
            let is_clean = outcome.is_clean();
            (outcome, is_clean)
        };
        say(&outcome.text());
        if let Some(path) = &self.json {
            outcome.save(path)?;
        }
        if let Some(path) = &self.html {
            html::write(path, &[&outcome])?;
        }
        Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn scenario(&self) -> anyhow::Result<Scenario> {
        let name = self.scenario.as_deref().context("a run needs a scenario")?;
        let set: Vec<String> = self.short.set().into_iter().chain(self.set.iter().cloned()).collect();
        scenario::find(name, &set)
    }

    fn targets(&self) -> anyhow::Result<Vec<Target>> {
        let trusted = |target: &Target| match &self.ca {
            None => Ok(target.clone()),
            Some(file) => target.clone().with_authorities(file),
        };
        self.targets.iter().map(trusted).collect()
    }

    fn plan(&self) -> anyhow::Result<Plan> {
        let mut dialects = self.targets.iter().map(|target| target.dialect);
        let first = dialects.next().context("a run needs a --target")?;
        ensure!(dialects.all(|dialect| dialect == first), "all targets of a run are of one kind");
        let is_whole = self.metrics.is_empty() || self.metrics.len() == self.targets.len();
        ensure!(is_whole, "give a --metrics-url for every --target, or none: figures are compared as a whole");
        Ok(Plan {
            targets: self.targets()?,
            json: self.format == FormatName::Json,
            tokens: self.tokens.as_deref().map(read_tokens).transpose()?,
            watched: Watched {
                processes: self.pids.iter().copied().map(Process::new).collect(),
                pages: self.metrics.clone(),
            },
            marks: self.marks.clone(),
            spread: Spread { processes: self.processes, sources: self.sources },
        })
    }
}
