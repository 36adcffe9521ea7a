//! Server CPU per delivery, against the floor and beside the baseline.

use super::Bench;
use super::bars::Bar;
use super::child::{Bobchat, Other};
use super::judge::{Line, Repetition, Repetitions};
use crate::client::{Fleet, Shape, sign_in_guests};
use crate::dialect::Dialect;
use crate::load::Schedule;
use crate::process::Process;
use crate::statistics::Spread;

/// Length of a message, as in the design's figures.
pub(super) const BYTES: usize = 120;

/// Bursts a second to one room of 1000: below what any of the servers can do on one core, for one that
/// runs late coalesces and then looks cheaper than it is.
pub(super) const BURSTS_A_SECOND: f64 = 40.0;

/// The baseline costs up to eight times as much, so it gets an eighth: the cost is per delivery.
const BASELINE_PART: f64 = 0.125;

/// Where this much more comes in a read than from the floor, the server or the harness was late.
const COALESCED_MAX: f64 = 1.1;

pub(super) const ONE_ROOM: Shape = Shape { rooms: 1, members: 1_000, receivers: 1_000, bytes: BYTES };
const MANY_ROOMS: Shape = Shape { rooms: 100, members: 10, receivers: 10, bytes: BYTES };

/// A server with members in it.
pub(super) struct Subject {
    fleet: Fleet,
    process: Process,
    acks: bool,
}

/// What one measurement gave.
#[derive(Clone, Copy)]
pub(super) struct Measured {
    pub(super) us_per_delivery: f64,
    deliveries_per_read: f64,
    p99_us: u64,
}

impl Measured {
    /// Whether more came together here than at the floor, before and after.
    fn is_late_beside(&self, before: &Self, after: &Self) -> bool {
        self.deliveries_per_read > COALESCED_MAX * before.deliveries_per_read.max(after.deliveries_per_read)
    }
}

impl Subject {
    /// Bobchat, with guests in its rooms.
    ///
    /// # Errors
    /// When somebody cannot enter.
    pub(super) async fn of(server: &Bobchat, shape: Shape) -> anyhow::Result<Self> {
        let users = sign_in_guests(&server.target(), shape.rooms * shape.members)?;
        let fleet = Fleet::enter(&server.target(), shape, &users).await?;
        Ok(Self { fleet, process: server.process(), acks: true })
    }

    async fn of_other(other: &Other, shape: Shape, acks: bool) -> anyhow::Result<Self> {
        let fleet = Fleet::enter(&other.target, shape, &[]).await?;
        Ok(Self { fleet, process: other.process(), acks })
    }

    /// Runs a load.
    ///
    /// # Errors
    /// When the server is gone.
    pub(super) async fn measure(&self, schedule: Schedule) -> anyhow::Result<Measured> {
        let checker = &self.fleet.shared.checker;
        checker.borrow_mut().begin();
        let before = self.process.usage()?;
        schedule.run(&self.fleet).await?;
        self.fleet.settle(self.acks).await;
        let seconds = self.process.usage()?.seconds_since(&before);
        let checker = checker.borrow();
        let counts = checker.counts();
        Ok(Measured {
            us_per_delivery: seconds * 1e6 / counts.delivered.max(1) as f64,
            deliveries_per_read: counts.delivered as f64 / counts.reads.max(1) as f64,
            p99_us: counts.delivery_latency.value_at_quantile(0.99),
        })
    }

    /// Closes the members; a broken promise makes the figures worthless.
    ///
    /// # Errors
    /// When one was broken.
    pub(super) fn finish(self, name: &str) -> anyhow::Result<()> {
        let violations = self.fleet.finish(self.acks);
        anyhow::ensure!(violations.is_empty(), "{name} broke a promise: {:?}", violations.examples);
        Ok(())
    }
}

/// The three lines of one room with 1000 members.
///
/// # Errors
/// When a server fails.
pub(super) async fn one_room(bench: &mut Bench) -> anyhow::Result<()> {
    let bursts = [(Bar::Fanout1, 1), (Bar::Fanout8, 8), (Bar::Fanout32, 32)];
    if !bursts.iter().any(|(bar, _)| bench.wants(*bar)) {
        return Ok(());
    }
    let data = tempfile::tempdir()?;
    let (server, _) = bench.installation.start(data.path())?;
    let floor = bench.installation.start_other(Dialect::Floor, &[])?;
    let baseline = bench.installation.start_other(Dialect::Baseline, &[])?;
    let subjects = [
        Subject::of_other(&floor, ONE_ROOM, false).await?,
        Subject::of(&server, ONE_ROOM).await?,
        Subject::of_other(&baseline, ONE_ROOM, false).await?,
    ];
    for (bar, burst) in bursts {
        if bench.wants(bar) {
            let rate = BURSTS_A_SECOND * burst as f64;
            let schedule = Schedule { rate, burst, together: 1, seconds: bench.options.seconds };
            let line = compare(bench, bar, &subjects, schedule).await?;
            bench.take(line);
        }
    }
    finish(subjects)
}

/// The line of 100 rooms with 10 members each.
///
/// # Errors
/// When a server fails.
pub(super) async fn many_rooms(bench: &mut Bench) -> anyhow::Result<()> {
    if !bench.wants(Bar::Rooms) {
        return Ok(());
    }
    let data = tempfile::tempdir()?;
    let (server, _) = bench.installation.start(data.path())?;
    // All rooms at once, 20 times a second: a fixed burst over rooms, as the others are inside one.
    let together = MANY_ROOMS.rooms;
    let schedule = Schedule { rate: 20.0 * together as f64, burst: 1, together, seconds: bench.options.seconds };
    let ours = Subject::of(&server, MANY_ROOMS).await?;
    // The floor commits in batches like the server's, which a trial tells.
    let before = server.commits()?;
    ours.measure(schedule).await?;
    let batch = server.commits()?.mean_batch_since(before);
    let store = data.path().join("floor.redb").to_string_lossy().into_owned();
    let rounded = floor_batch(batch).to_string();
    let floor = bench.installation.start_other(Dialect::Floor, &["--store", &store, "--batch", &rounded])?;
    let baseline = bench.installation.start_other(Dialect::Baseline, &[])?;
    let subjects = [
        Subject::of_other(&floor, MANY_ROOMS, true).await?,
        ours,
        Subject::of_other(&baseline, MANY_ROOMS, false).await?,
    ];
    let mut line = compare(bench, Bar::Rooms, &subjects, schedule).await?;
    line.notes.push(format!("mean commit batch {batch:.1}; the floor commits {rounded} at a time"));
    bench.take(line);
    finish(subjects)
}

/// The batch that gives the floor as many commits for all rooms at once as the server makes: the mean
/// itself would leave a rest over, and the rest a commit more.
fn floor_batch(mean: f64) -> u64 {
    let together = MANY_ROOMS.rooms as u64;
    let commits = (together as f64 / mean.max(1.0)).round().max(1.0) as u64;
    together.div_ceil(commits)
}

fn finish([floor, ours, baseline]: [Subject; 3]) -> anyhow::Result<()> {
    floor.finish("the floor")?;
    ours.finish("the server")?;
    baseline.finish("the baseline")
}

async fn compare(
    bench: &Bench,
    bar: Bar,
    [floor, ours, baseline]: &[Subject; 3],
    schedule: Schedule,
) -> anyhow::Result<Line> {
    let mut repetitions = Repetitions::default();
    let (mut notes, mut late) = (Vec::new(), 0);
    let mut latencies = Vec::new();
    // The first run after members entered pays for pages and caches that later ones find warm.
    for subject in [floor, ours] {
        subject.measure(Schedule { seconds: 0.5, ..schedule }).await?;
    }
    while !repetitions.are_done(bench.options.effort()) {
        let before = floor.measure(schedule).await?;
        let middle = ours.measure(schedule).await?;
        let after = floor.measure(schedule).await?;
        late += usize::from(middle.is_late_beside(&before, &after));
        latencies.push(middle.p99_us as f64);
        repetitions.add(Repetition {
            floor_before: before.us_per_delivery,
            ours: middle.us_per_delivery,
            floor_after: after.us_per_delivery,
        });
    }
    let mut line = repetitions.line(bar, bench.options.effort(), "us");
    let slower = Schedule { rate: schedule.rate * BASELINE_PART, ..schedule };
    let mut figures = Vec::new();
    for _ in 0..3 {
        figures.push(baseline.measure(slower).await?.us_per_delivery);
    }
    line.baseline = Spread::of(&figures).map(|spread| spread.median);
    if late > 0 {
        notes.push(format!("{late} of {} runs were late: deliveries came together, which looks cheap", line.tried));
    }
    if let Some(latency) = Spread::of(&latencies) {
        notes.push(format!("delivery p99 {:.1} ms", latency.median / 1e3));
    }
    line.notes = notes;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_commits_as_often_as_the_server() {
        for (mean, batch) in [(1.0, 1), (33.0, 34), (50.0, 50), (60.0, 50), (100.0, 100), (0.0, 1)] {
            assert_eq!(floor_batch(mean), batch, "{mean}");
        }
    }
}
