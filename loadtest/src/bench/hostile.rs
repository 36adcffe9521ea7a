//! Hostile clients: what each kind costs in memory, and what all kinds at once do to everybody else's latency.

mod attack;

use std::path::Path;
use std::time::{Duration, Instant};

use super::Bench;
use super::bars::Bar;
use super::child::Bobchat;
use super::judge::Line;
use crate::client::{Credentials, Fleet, Shape, sign_in_guests};
use crate::load::Schedule;
use crate::statistics::Spread;
use attack::{Attack, Attackers, Victim};

/// Attackers at once.
const ATTACKERS: usize = 200;

/// How long each kind goes on while memory is watched.
const MEMORY_SECONDS: u64 = 4;

/// How often memory is read.
const MEMORY_POLL: Duration = Duration::from_millis(50);

/// The people who are disturbed or not; their messages are long, so that pages of them are.
const HEALTHY: Shape = Shape { rooms: 10, members: 10, receivers: 10, bytes: 1_000 };

/// A file system in memory.
const MEMORY_DISK: &str = "/dev/shm";

/// Messages a second of all of them together.
const RATE: f64 = 200.0;

/// The limits on one connection and one user as they are by default, for the configuration of the bench raises them; and more
/// strangers of one address than one would have, for all attackers have the same.
const SETTINGS: [(&str, &str); 6] = [
    ("LIMITS__FRAMES_BURST", "100"),
    ("LIMITS__FRAMES_PER_SECOND", "50"),
    ("LIMITS__FRAME_BYTES_PER_SECOND", "256KiB"),
    ("LIMITS__PAGES_BURST", "100"),
    ("LIMITS__PAGES_PER_SECOND", "20"),
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
        // A disk's own 99th percentile, tens of milliseconds where it is shared, would hide what is looked for.
        let data =
            if Path::new(MEMORY_DISK).is_dir() { tempfile::tempdir_in(MEMORY_DISK)? } else { tempfile::tempdir()? };
        let settings = SETTINGS.map(|(key, value)| (key, value.to_owned()));
        let server = bench.installation.start_node(data.path(), &settings)?;
        let mut users = sign_in_guests(&server.target(), HEALTHY.rooms * HEALTHY.members + 1)?;
        let hostile = users.pop().map(|Credentials { access_token, .. }| access_token).unwrap_or_default();
        let fleet = Fleet::enter(&server.target(), HEALTHY, &users).await?;
        let room = fleet.rooms.first().map(|room| room.id).unwrap_or_default();
        let victim = Victim { authority: server.authority(), token: hostile, room };
        let scene = Self { server, fleet, victim, _data: data };
        scene.talk(3.0).await?;
        Ok(scene)
    }

    /// Lets the healthy talk.
    async fn talk(&self, seconds: f64) -> anyhow::Result<()> {
        let schedule = Schedule { rate: RATE, burst: 1, together: 1, seconds };
        self.fleet.shared.checker.borrow_mut().begin();
        schedule.run(&self.fleet).await?;
        self.fleet.settle(true).await;
        Ok(())
    }

    /// Lets them talk, and looks at what that is like.
    async fn stretch(&self, seconds: f64) -> anyhow::Result<Stretch> {
        let (began, used) = (Instant::now(), self.server.process().usage()?);
        self.talk(seconds).await?;
        let took = began.elapsed().as_secs_f64();
        let cpu = self.server.process().usage()?.seconds_since(&used) / took;
        let checker = self.fleet.shared.checker.borrow();
        Ok(Stretch { latency: checker.counts().delivery_latency.value_at_quantile(0.99) as f64, cpu })
    }

    /// The same while some mean harm to `victim`, which may be somebody else.
    async fn disturbed(&self, kinds: &[Attack], victim: &Victim, seconds: f64) -> anyhow::Result<Stretch> {
        let attackers = Attackers::start(kinds, ATTACKERS, victim)?;
        // What they do when they have all come is what counts.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let stretch = self.stretch(seconds).await;
        attackers.stop()?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        stretch
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
        let attackers = Attackers::start(&[kind], ATTACKERS, &scene.victim)?;
        let mut most = before;
        for _ in 0..(Duration::from_secs(MEMORY_SECONDS).as_millis() / MEMORY_POLL.as_millis()) {
            tokio::time::sleep(MEMORY_POLL).await;
            most = most.max(scene.server.process().resident_bytes()?);
        }
        attackers.stop()?;
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

/// All kinds at once, and each kind alone so that the guilty one is known, all between stretches of peace.
///
/// A machine that is shared stops for milliseconds at a time, which is all of a 99th percentile: noise only adds to it, so
/// the least of several stretches is compared.
///
/// The floor is what is left when the same is done to another process on the server's core, in which nobody talks: the work
/// of the kernel and of the attackers themselves, and of waiting for a core, which no server could keep from its clients.
async fn latency(bench: &mut Bench) -> anyhow::Result<()> {
    let (scene, other) = (Scene::set(bench).await?, Scene::set(bench).await?);
    let seconds = bench.options.seconds;
    let mut peace = Stretches::default();
    let mut mixed = Stretches::default();
    let mut beside = Stretches::default();
    let mut alone = Attack::ALL.map(|kind| (kind, Stretches::default()));
    for _ in 0..bench.options.effort().kept {
        peace.add(scene.stretch(seconds).await?);
        mixed.add(scene.disturbed(&Attack::ALL, &scene.victim, seconds).await?);
        peace.add(scene.stretch(seconds).await?);
        beside.add(scene.disturbed(&Attack::ALL, &other.victim, seconds).await?);
        for (kind, stretches) in &mut alone {
            peace.add(scene.stretch(seconds).await?);
            stretches.add(scene.disturbed(&[*kind], &scene.victim, seconds).await?);
        }
    }
    let tried = mixed.0.len();
    let mut line = Line::judged(Bar::HostileLatency, &[mixed.least_latency() / peace.least_latency()], 1, tried);
    line.absolute_unit = "us";
    line.floor = Some(beside.least_latency());
    line.ours = Some(mixed.least_latency());
    line.notes.push(format!(
        "delivery p99 of {RATE} messages a second, under {ATTACKERS} attackers against in peace ({:.0} us), the least of \
         {tried} stretches against the least of {}; the floor: the same attackers at another process on that core, \
         {:.2} x; the server takes {} in peace and {} under attack",
        peace.least_latency(),
        peace.0.len(),
        beside.least_latency() / peace.least_latency(),
        peace.cpu(),
        mixed.cpu(),
    ));
    let alone = alone.iter().map(|(kind, stretches)| {
        let times = stretches.least_latency() / peace.least_latency();
        format!("{}: {times:.1} x ({})", kind.title(), stretches.cpu())
    });
    line.notes.push(format!("{ATTACKERS} at once of one kind: {}", alone.collect::<Vec<_>>().join(", ")));
    bench.take(line);
    other.end()?;
    scene.end()
}

/// What was seen in a stretch of time.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    /// The 99th percentile of a delivery, in microseconds.
    latency: f64,
    /// Processor time of the server, as a part of one core.
    cpu: f64,
}

/// The same several times.
#[derive(Debug, Default)]
struct Stretches(Vec<Stretch>);

impl Stretches {
    fn add(&mut self, stretch: Stretch) {
        self.0.push(stretch);
    }

    fn least_latency(&self) -> f64 {
        self.0.iter().map(|stretch| stretch.latency).fold(f64::INFINITY, f64::min)
    }

    /// The median of the processor time, for people.
    fn cpu(&self) -> String {
        let parts: Vec<f64> = self.0.iter().map(|stretch| stretch.cpu * 100.0).collect();
        Spread::of(&parts).map_or_else(String::new, |spread| format!("{:.0} % of a core", spread.median))
    }
}
