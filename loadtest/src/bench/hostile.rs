//! Hostile clients: what each kind costs in memory, and what all kinds at once do to everybody else's latency.

mod attack;

use std::time::Duration;

use super::Bench;
use super::bars::Bar;
use super::child::Bobchat;
use super::judge::{Line, Repetition, Repetitions};
use crate::client::{Credentials, Fleet, Shape, sign_in_guests};
use crate::load::Schedule;
use attack::{Attack, Attackers, Victim};

/// Attackers at once.
const ATTACKERS: usize = 200;

/// How long each kind goes on while memory is watched.
const MEMORY_SECONDS: u64 = 4;

/// How often memory is read.
const MEMORY_POLL: Duration = Duration::from_millis(50);

/// The people who are disturbed or not; their messages are long, so that pages of them are.
const HEALTHY: Shape = Shape { rooms: 10, members: 10, receivers: 10, bytes: 1_000 };

/// Messages a second of all of them together.
const RATE: f64 = 200.0;

/// The limits on one connection as they are by default, for the configuration of the bench raises them; and more
/// strangers of one address than one would have, for all attackers have the same.
const SETTINGS: [(&str, &str); 4] = [
    ("LIMITS__FRAMES_BURST", "100"),
    ("LIMITS__FRAMES_PER_SECOND", "50"),
    ("LIMITS__FRAME_BYTES_PER_SECOND", "256KiB"),
    ("LIMITS__CONNECTIONS_PER_ADDRESS_BEFORE_AUTH", "10000"),
];

/// A server with people who talk, and somebody among them who means harm.
struct Scene {
    server: Bobchat,
    fleet: Fleet,
    victim: Victim,
    _data: tempfile::TempDir,
}

impl Scene {
    async fn set(bench: &Bench) -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let settings = SETTINGS.map(|(key, value)| (key, value.to_owned()));
        let server = bench.installation.start_node(data.path(), &settings)?;
        let mut users = sign_in_guests(&server.authority(), HEALTHY.rooms * HEALTHY.members + 1)?;
        let hostile = users.pop().map(|Credentials { access_token, .. }| access_token).unwrap_or_default();
        let fleet = Fleet::enter(&server.target(), HEALTHY, &users).await?;
        let room = fleet.rooms.first().map(|room| room.id).unwrap_or_default();
        let victim = Victim { authority: server.authority(), token: hostile, room };
        let scene = Self { server, fleet, victim, _data: data };
        scene.talk(3.0).await?;
        Ok(scene)
    }

    /// Lets the healthy talk; the 99th percentile of a delivery, in microseconds.
    async fn talk(&self, seconds: f64) -> anyhow::Result<f64> {
        let schedule = Schedule { rate: RATE, burst: 1, together: 1, seconds };
        self.fleet.shared.checker.borrow_mut().begin();
        schedule.run(&self.fleet).await?;
        self.fleet.settle(true).await;
        let checker = self.fleet.shared.checker.borrow();
        Ok(checker.counts().delivery_latency.value_at_quantile(0.99) as f64)
    }

    fn end(self) -> anyhow::Result<()> {
        let violations = self.fleet.finish(true);
        anyhow::ensure!(violations.is_empty(), "a promise was broken: {:?}", violations.examples);
        Ok(())
    }
}

/// Measures both lines.
///
/// # Errors
/// When a server fails.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    if bench.wants(Bar::HostileMemory) {
        memory(bench).await?;
    }
    if bench.wants(Bar::HostileLatency) {
        latency(bench).await?;
    }
    Ok(())
}

/// A new server for each kind: what one has left behind would hide what the next one takes.
async fn memory(bench: &mut Bench) -> anyhow::Result<()> {
    let mut worst: f64 = 0.0;
    let mut notes = Vec::new();
    for kind in Attack::ALL {
        let scene = Scene::set(bench).await?;
        let before = scene.server.process().resident_bytes()?;
        let attackers = Attackers::start(&[kind], ATTACKERS, &scene.victim);
        let mut most = before;
        for _ in 0..(Duration::from_secs(MEMORY_SECONDS).as_millis() / MEMORY_POLL.as_millis()) {
            tokio::time::sleep(MEMORY_POLL).await;
            most = most.max(scene.server.process().resident_bytes()?);
        }
        drop(attackers);
        let each = most.saturating_sub(before) as f64 / ATTACKERS as f64 / 1e3;
        notes.push(format!("{}: {each:.1} KB", kind.title()));
        worst = worst.max(each);
        scene.end()?;
    }
    let mut line = Line::judged(Bar::HostileMemory, &[worst], 1, 1);
    line.notes.push(format!("{ATTACKERS} at once of each kind, each client: {}", notes.join(", ")));
    bench.take(line);
    Ok(())
}

/// All kinds at once, between two stretches of peace.
async fn latency(bench: &mut Bench) -> anyhow::Result<()> {
    let scene = Scene::set(bench).await?;
    let seconds = bench.options.seconds;
    let mut repetitions = Repetitions::default();
    while !repetitions.are_done(bench.options.effort()) {
        repetitions.add(disturbed(&scene, &Attack::ALL, seconds).await?);
    }
    let mut line = repetitions.line(Bar::HostileLatency, bench.options.effort(), "us");
    line.notes.push(format!("delivery p99 of {RATE} messages a second, under {ATTACKERS} attackers against in peace"));
    let mut alone = Vec::new();
    for kind in Attack::ALL {
        let Repetition { floor_before, ours, floor_after } = disturbed(&scene, &[kind], seconds).await?;
        alone.push(format!("{}: {:.1} x", kind.title(), 2.0 * ours / (floor_before + floor_after)));
    }
    line.notes.push(format!("{ATTACKERS} at once of one kind, each measured once: {}", alone.join(", ")));
    bench.take(line);
    scene.end()
}

/// The latency of the healthy before, while and after some mean harm.
async fn disturbed(scene: &Scene, kinds: &[Attack], seconds: f64) -> anyhow::Result<Repetition> {
    let floor_before = scene.talk(seconds).await?;
    let attackers = Attackers::start(kinds, ATTACKERS, &scene.victim);
    // What they do when they have all come is what counts.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let ours = scene.talk(seconds).await?;
    drop(attackers);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let floor_after = scene.talk(seconds).await?;
    Ok(Repetition { floor_before, ours, floor_after })
}
