//! What one process does of a run: brings its members to their rooms, lets them do what the scenario says, and
//! tells what it counted once a second.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bobchat_proto::codec::Format;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};

use super::series::Second;
use crate::check::Violations;
use crate::client::{Credentials, Crew, Fleet, Place, Route, Shared, Target, prepare_places};
use crate::dialect::Dialect;
use crate::load::{Until, Window};
use crate::process::Process;
use crate::scenario::{PREFILL_WINDOW, Scenario};
use crate::traffic;

/// What one process does of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) scenario: Scenario,
    /// As on the command line.
    pub(crate) targets: Vec<String>,
    /// Whether frames are JSON; protobuf else.
    pub(crate) json: bool,
    /// A user for each member; none for the simple dialects.
    pub(crate) users: Vec<Credentials>,
    /// Addresses to connect from, in turns.
    pub(crate) sources: Vec<IpAddr>,
}

/// What is known in the end beside what was told each second.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// How long it took, from the first send to the last delivery.
    pub(crate) seconds: f64,
    /// The part of a core that this process used; near 1 it measures itself.
    pub(crate) harness_cpu: f64,
    pub(crate) violations: Violations,
}

impl Order {
    fn targets(&self) -> anyhow::Result<Vec<Target>> {
        let format = if self.json { Format::Json } else { Format::Protobuf };
        self.targets.iter().map(|target| Ok(target.parse::<Target>()?.in_format(format))).collect()
    }

    fn crew(&self) -> anyhow::Result<Crew> {
        let route = Route { targets: self.targets()?, sources: self.sources.clone() };
        Ok(Crew { route, slow: self.scenario.slow_readers() })
    }
}

/// Does what an order says. `begin` is awaited when all members are ready, `close` when everything has arrived and all
/// are still connected; `tell` hears every second.
///
/// # Errors
/// When members cannot get to their rooms; a limit that is met is named. A broken promise is no error.
pub(crate) async fn run(
    order: &Order,
    begin: impl Future<Output = anyhow::Result<()>>,
    mut tell: impl FnMut(Second),
    close: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Ended> {
    let (fleet, users) = gather(order).await?;
    let dialect = fleet.shared.dialect;
    begin.await?;
    fleet.shared.checker.borrow_mut().begin();
    fleet.shared.comes_back.set(matches!(dialect, Dialect::Bobchat(_)));
    let meter = Meter::begin()?;
    let expects_acks = dialect.acks() || order.scenario.window.is_some();
    let mut sampler = Sampler::begin(Rc::clone(&fleet.shared));
    {
        let work = work(order, &fleet, users, expects_acks);
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => break done?,
                () = sampler.wait() => tell(sampler.take()),
            }
        }
    }
    tell(sampler.take());
    let (seconds, harness_cpu) = meter.end()?;
    close.await?;
    Ok(Ended { seconds, harness_cpu, violations: fleet.finish(expects_acks) })
}

/// Does all that the scenario says, and waits until everything has arrived.
async fn work(order: &Order, fleet: &Fleet, users: Vec<Credentials>, expects_acks: bool) -> anyhow::Result<()> {
    let targets = order.targets()?;
    let target = targets.first().context("a run needs a target")?;
    traffic::run(&order.scenario, fleet, users, target).await?;
    fleet.shared.hurry.set(true);
    fleet.settle(expects_acks).await;
    Ok(())
}

/// What this process uses meanwhile.
struct Meter {
    began: Instant,
    before: crate::process::Usage,
}

impl Meter {
    fn begin() -> anyhow::Result<Self> {
        Ok(Self { began: Instant::now(), before: Process::own().usage()? })
    }

    /// Seconds, and the part of a core.
    fn end(&self) -> anyhow::Result<(f64, f64)> {
        let seconds = self.began.elapsed().as_secs_f64();
        Ok((seconds, Process::own().usage()?.seconds_since(&self.before) / seconds))
    }
}

/// Brings members to where they begin; also gives their users in their order.
async fn gather(order: &Order) -> anyhow::Result<(Fleet, Vec<Credentials>)> {
    let (scenario, crew) = (&order.scenario, order.crew()?);
    let target = crew.route.targets.first().context("a run needs a target")?.clone();
    let bobchat = matches!(target.dialect, Dialect::Bobchat(_));
    ensure!(
        bobchat || !scenario.needs_bobchat(),
        "only Bobchat is asked for more than members and messages: no history, typing, reconnects or prefill elsewhere"
    );
    let acks = target.dialect != Dialect::Baseline || scenario.window.is_none();
    ensure!(acks, "the baseline acks nothing, so a window there never moves");
    let (mut fleet, users) = if scenario.connect.is_some() {
        let places = places(order, &target)?;
        let users = places.iter().map(|place| place.credentials.clone()).collect();
        (Fleet::placed(crew, scenario.shape(), &places)?, users)
    } else {
        (Fleet::enter_as(crew, scenario.shape(), &order.users).await?, order.users.clone())
    };
    for room in &mut fleet.rooms {
        // Whoever reads slowly would see their acks late too, which is no latency of the server.
        room.senders.retain(|member| !member.is_slow());
        room.senders.truncate(scenario.senders.unwrap_or(usize::MAX));
    }
    fill(scenario, &fleet).await?;
    Ok((fleet, users))
}

/// Members of rooms that are not connected yet.
fn places(order: &Order, target: &Target) -> anyhow::Result<Vec<Place>> {
    let scenario = &order.scenario;
    if matches!(target.dialect, Dialect::Bobchat(_)) {
        let mut places = prepare_places(target, &order.users, scenario.rooms)?;
        places.sort_by_key(|place| place.room);
        return Ok(places);
    }
    let nobody = Credentials { access_token: String::new(), refresh_token: None, expires_at: None };
    let place = |number| Place { credentials: nobody.clone(), room: (number / scenario.members) as u64 };
    Ok((0..scenario.users()).map(place).collect())
}

/// Gives rooms their past.
async fn fill(scenario: &Scenario, fleet: &Fleet) -> anyhow::Result<()> {
    if scenario.prefill == 0 {
        return Ok(());
    }
    ensure!(scenario.connect.is_none(), "prefill needs members that are there before it begins: leave connect out");
    let until = Until::Messages(scenario.prefill * scenario.rooms as u64);
    Window { window: PREFILL_WINDOW, until }.run(fleet, &ProgressBar::hidden()).await;
    fleet.settle(true).await;
    let checker = fleet.shared.checker.borrow();
    let violations = checker.violations();
    let first = violations.examples.first().map_or("", String::as_str);
    ensure!(violations.is_empty(), "rooms could not be filled: {first}");
    Ok(())
}

/// Takes what was counted, once a second.
struct Sampler {
    shared: Rc<Shared>,
    ticks: tokio::time::Interval,
    began: Instant,
    number: u64,
    last: Instant,
    errors: u64,
}

impl Sampler {
    fn begin(shared: Rc<Shared>) -> Self {
        let second = Duration::from_secs(1);
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + second, second);
        // After a stall of the harness the seconds that it lost are told as one long one.
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let now = Instant::now();
        Self { shared, ticks, began: now, number: 0, last: now, errors: 0 }
    }

    async fn wait(&mut self) {
        self.ticks.tick().await;
    }

    fn take(&mut self) -> Second {
        let mut checker = self.shared.checker.borrow_mut();
        let errors = checker.violations().total();
        self.number = (self.began.elapsed().as_secs_f64().round() as u64).max(self.number + 1);
        let second = Second {
            number: self.number,
            seconds: self.last.elapsed().as_secs_f64(),
            connections: self.shared.connections.get(),
            errors: errors - self.errors,
            counts: checker.counts().clone(),
        };
        checker.begin();
        (self.errors, self.last) = (errors, Instant::now());
        second
    }
}
