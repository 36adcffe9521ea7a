//! The loads that can be run against any server.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::client::{Credentials, Fleet, Shape, Target, prepare_places, sign_in_guests};
use crate::dialect::Dialect;
use crate::load::{Schedule, Window, progress_bar};
use crate::process::{Process, Usage};
use crate::report::{Report, ServerUsage};

/// What every load needs to know.
pub(crate) struct Setting {
    pub(crate) target: Target,
    pub(crate) shape: Shape,
    /// Users to be, from a file; guests are signed up when there are none.
    pub(crate) tokens: Option<Vec<Credentials>>,
    /// The server, to see what it uses.
    pub(crate) server: Option<Process>,
}

impl Setting {
    fn users(&self) -> anyhow::Result<Vec<Credentials>> {
        match (&self.tokens, self.target.dialect) {
            (Some(tokens), _) => Ok(tokens.clone()),
            (None, Dialect::Bobchat(_)) => {
                sign_in_guests(&self.target.authority, self.shape.rooms * self.shape.members)
            }
            (None, _) => Ok(Vec::new()),
        }
    }

    fn describe(&self) -> String {
        self.target.authority.clone()
    }
}

/// What was measured around a load.
pub(crate) struct Meter {
    server: Option<(Process, Usage, u64)>,
    own: Usage,
    began: std::time::Instant,
}

impl Meter {
    /// Begins to measure.
    ///
    /// # Errors
    /// When the server is gone.
    pub(crate) fn begin(server: Option<Process>) -> anyhow::Result<Self> {
        let server = match server {
            Some(process) => Some((process, process.usage()?, process.resident_bytes()?)),
            None => None,
        };
        Ok(Self { server, own: Process::own().usage()?, began: std::time::Instant::now() })
    }

    /// The time since it began, in seconds.
    pub(crate) fn elapsed(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Writes what was used into the report.
    ///
    /// # Errors
    /// When the server is gone.
    pub(crate) fn end(&self, report: &mut Report) -> anyhow::Result<()> {
        report.harness_cpu = Process::own().usage()?.seconds_since(&self.own) / self.elapsed();
        if let Some((process, usage, resident)) = &self.server {
            let cpu_seconds = process.usage()?.seconds_since(usage);
            let delivered = report.delivered;
            report.server = Some(ServerUsage {
                cpu_seconds,
                cpu_us_per_delivery: (delivered > 0).then(|| cpu_seconds * 1e6 / delivered as f64),
                resident_bytes_before: *resident,
                resident_bytes_after: process.resident_bytes()?,
                resident_bytes_per_connection: None,
            });
        }
        Ok(())
    }
}

/// Bursts to rooms on an open-loop schedule.
///
/// # Errors
/// When the members cannot get to their rooms.
pub(crate) async fn fanout(setting: &Setting, schedule: Schedule) -> anyhow::Result<Report> {
    let users = setting.users()?;
    let fleet = Fleet::enter(&setting.target, setting.shape, &users).await?;
    let meter = Meter::begin(setting.server)?;
    let progress = progress_bar("fanout");
    schedule.run(&fleet, &progress).await?;
    fleet.settle(setting.target.dialect.acks()).await;
    progress.finish_and_clear();
    finish("fanout", setting, fleet, &meter, setting.target.dialect.acks())
}

/// As many messages as the server takes with a window at each member.
///
/// # Errors
/// When the members cannot get to their rooms.
pub(crate) async fn throughput(setting: &Setting, window: Window) -> anyhow::Result<Report> {
    ensure!(setting.target.dialect != Dialect::Baseline, "the baseline acks nothing, so a window there never moves");
    let users = setting.users()?;
    let fleet = Fleet::enter(&setting.target, setting.shape, &users).await?;
    let meter = Meter::begin(setting.server)?;
    let progress = progress_bar("throughput");
    window.run(&fleet, &progress).await;
    fleet.settle(true).await;
    progress.finish_and_clear();
    finish("throughput", setting, fleet, &meter, true)
}

/// Members that stay connected and say nothing.
///
/// # Errors
/// When the members cannot get to their rooms, or the server is gone.
pub(crate) async fn idle(setting: &Setting, wait: Duration) -> anyhow::Result<Report> {
    let count = setting.shape.rooms * setting.shape.members;
    let users = setting.users()?;
    let bobchat = matches!(setting.target.dialect, Dialect::Bobchat(_));
    let places =
        if bobchat { prepare_places(&setting.target.authority, &users, setting.shape.rooms)? } else { Vec::new() };
    let meter = Meter::begin(setting.server)?;
    let fleet = if bobchat {
        Fleet::resume(&setting.target, &places, setting.shape.bytes).await?
    } else {
        Fleet::enter(&setting.target, setting.shape, &users).await?
    };
    let progress = progress_bar("idle");
    progress.set_length(wait.as_secs());
    for _ in 0..wait.as_secs() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        progress.inc(1);
    }
    progress.finish_and_clear();
    let mut report = finish("idle", setting, fleet, &meter, false)?;
    if let Some(server) = &mut report.server {
        let grown = server.resident_bytes_after.saturating_sub(server.resident_bytes_before);
        server.resident_bytes_per_connection = Some(grown as f64 / count as f64);
    }
    Ok(report)
}

fn finish(
    scenario: &'static str,
    setting: &Setting,
    fleet: Fleet,
    meter: &Meter,
    expects_acks: bool,
) -> anyhow::Result<Report> {
    let seconds = meter.elapsed();
    let counts = fleet.shared.checker.borrow().counts().clone();
    let mut report = Report::new(scenario, setting.describe(), &counts, seconds);
    // Before the connections close: that frees what is to be measured.
    meter.end(&mut report).context("the server ended during the run")?;
    report.violations = fleet.finish(expects_acks);
    report.rooms = setting.shape.rooms;
    report.members = setting.shape.rooms * setting.shape.members;
    report.bytes = setting.shape.bytes;
    Ok(report)
}
