//! A run, from its schedule to what was broken.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Once;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bobchat::auth::install_cryptography;
use bobchat::config::{Config, Overrides, Sources};
use bobchat_actors::plant::{self, Bug};
use bobchat_actors::random;
use bobchat_proto::ids::RoomId;
use bobchat_proto::wire;
use prometheus_client::metrics::counter::Counter;
use turmoil::{Builder, Sim};

use crate::frames;
use crate::judge::judge;
use crate::node;
use crate::person::Person;
use crate::schedule::{CLIENTS, Fault, PREPARED_AFTER, Schedule};
use crate::world::{Broken, Story, Wish, World};

/// Simulated time goes on by this much at a time, each host in turn.
const TICK: Duration = Duration::from_millis(10);

/// What a message is on its way at least and at most.
const LATENCY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(30));

/// Simulated time that no run takes: its clients would have given up long before.
const LASTS_AT_MOST: Duration = Duration::from_secs(40);

/// How often a replica of the live log copies what that holds.
const COPIED_EVERY: Duration = Duration::from_millis(700);

/// Hosts that clients are spread over.
const PLACES: usize = 2;

/// Limits that are not what simulations are about.
const LIMITS: [(&str, &str); 2] = [("GUESTS_BURST", "1000"), ("CONNECTIONS_PER_ADDRESS_BEFORE_AUTH", "1000")];

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Every promise that was broken.
    pub broken: Vec<Broken>,
    /// Messages that were acknowledged.
    pub acknowledged: u64,
    /// Events that clients' streams brought.
    pub delivered: u64,
    /// Sends that were refused because a room's live log was full.
    pub full: u64,
    /// Holes in what nodes heard that their rooms filled from the log.
    pub holes_filled: u64,
    /// How long it took, in simulated time.
    pub lasted: Duration,
}

impl Outcome {
    /// Whether a promise of this name was broken.
    #[must_use]
    pub fn breaks(&self, invariant: &str) -> bool {
        self.broken.iter().any(|broken| broken.invariant == invariant)
    }
}

/// Something that begins or ends at a time.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Begin(Fault),
    End(Fault),
}

thread_local! {
    /// Panics of a run: a room that died is replaced, but it must not die.
    static PANICS: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Runs a schedule, with a bug planted or without.
#[must_use]
pub fn run(schedule: &Schedule, bug: Option<Bug>, story: Story) -> Outcome {
    static PREPARED: Once = Once::new();
    PREPARED.call_once(|| {
        install_cryptography();
        catch_panics();
    });
    plant::plant_here(bug);
    random::seed(Some(schedule.seed));
    PANICS.set(Some(Vec::new()));
    let outcome = simulate(schedule, story);
    random::seed(None);
    plant::plant_here(None);
    let panics = PANICS.take().unwrap_or_default();
    let panicked = panics.into_iter().map(|what| Broken { invariant: "no panics", what });
    Outcome { broken: outcome.broken.into_iter().chain(panicked).collect(), ..outcome }
}

fn catch_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let caught = PANICS.try_with(|panics| {
            let mut panics = panics.try_borrow_mut().ok()?;
            panics.as_mut().map(|panics| panics.push(info.to_string()))
        });
        if !matches!(caught, Ok(Some(()))) {
            before(info);
        }
    }));
}

fn config() -> Result<Config, String> {
    let environment: HashMap<String, String> =
        LIMITS.iter().map(|(key, value)| (format!("BOBCHAT__LIMITS__{key}"), (*value).to_owned())).collect();
    let sources = Sources { file: Some("/dev/null".into()), environment, overrides: Overrides::default() };
    Config::load(&sources).map_err(|faults| format!("{faults:?}"))
}

fn simulate(schedule: &Schedule, story: Story) -> Outcome {
    let world = match config() {
        Ok(config) => World::new(schedule.clone(), config, story),
        Err(what) => return failed("no configuration", what),
    };
    let mut sim = Builder::new()
        .rng_seed(schedule.seed)
        .tick_duration(TICK)
        .simulation_duration(LASTS_AT_MOST * 2)
        .min_message_latency(LATENCY.0)
        .max_message_latency(LATENCY.1)
        .build();
    for number in 0..schedule.site.nodes() {
        let world = world.clone();
        sim.host(node::name(number), move || node::run(world.clone(), number));
    }
    for place in 0..PLACES {
        let world = world.clone();
        sim.client(place_name(place), async move {
            let people = tokio::task::LocalSet::new();
            for number in (place..CLIENTS).step_by(PLACES) {
                people.spawn_local(Person::new(number, world.clone()).live());
            }
            if place == 0 {
                people.spawn_local(judge(world));
            }
            people.await;
            Ok(())
        });
    }
    let lasted = drive(&mut sim, &world);
    let witness = world.witness.borrow();
    let (acknowledged, delivered) = (witness.acknowledged(), witness.delivered());
    drop(witness);
    let sum = |counters: &RefCell<Vec<Counter>>| counters.borrow().iter().map(|count| count.get()).sum();
    let (full, holes_filled) = (sum(&world.full), sum(&world.holes_filled));
    let outcome = Outcome { broken: world.all_broken(), acknowledged, delivered, full, holes_filled, lasted };
    drop(sim);
    outcome
}

fn failed(invariant: &'static str, what: String) -> Outcome {
    let broken = vec![Broken { invariant, what }];
    Outcome { broken, acknowledged: 0, delivered: 0, full: 0, holes_filled: 0, lasted: Duration::ZERO }
}

fn place_name(place: usize) -> String {
    format!("people-{place}")
}

/// Lets time go on until all clients have gone.
fn drive(sim: &mut Sim<'_>, world: &Rc<World>) -> Duration {
    let mut turns = turns(&world.schedule);
    let over = PREPARED_AFTER + world.schedule.over_after();
    let mut copied = Duration::ZERO;
    loop {
        let now = sim.elapsed();
        let micros = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        world.clock.set(World::begin_micros().saturating_add(micros));
        while let Some((_, turn)) = turns.first().copied().filter(|(at, _)| *at <= now) {
            turns.remove(0);
            world.story.tell(|| format!("{now:?}: {turn:?}"));
            take(sim, world, turn);
        }
        if now >= PREPARED_AFTER && world.wish.get() == Wish::Prepare {
            world.wish.set(Wish::Act);
        }
        if now >= over && world.wish.get() == Wish::Act {
            world.story.tell(|| format!("{now:?}: all is well again"));
            world.wish.set(Wish::Settle);
        }
        if now >= copied + COPIED_EVERY {
            copied = now;
            world.replica.replace(world.live.image());
        }
        let step = sim.step();
        if !world.disk.has_power() {
            world.story.tell(|| format!("{now:?}: the power fails"));
            kill(sim, world, 0);
        }
        match step {
            Ok(true) => return now,
            Ok(false) if now < LASTS_AT_MOST => {}
            Ok(false) => {
                world.note("I9 liveness", format!("not over after {LASTS_AT_MOST:?}"));
                return now;
            }
            Err(error) => {
                world.note("I9 liveness", format!("a host ended: {error}"));
                return now;
            }
        }
    }
}

/// What begins and ends, in order.
fn turns(schedule: &Schedule) -> Vec<(Duration, Turn)> {
    let mut turns: Vec<(Duration, Turn)> = Vec::new();
    for trouble in &schedule.troubles {
        let at = PREPARED_AFTER + trouble.at;
        turns.push((at, Turn::Begin(trouble.what)));
        turns.push((at + trouble.lasts, Turn::End(trouble.what)));
    }
    turns.sort_by_key(|(at, _)| *at);
    turns
}

fn take(sim: &mut Sim<'_>, world: &Rc<World>, turn: Turn) {
    let before = everything_held(world);
    match turn {
        Turn::Begin(fault) => begin(sim, world, fault),
        Turn::End(fault) => end(sim, world, fault),
    }
    excuse_lost(world, &before);
}

fn begin(sim: &mut Sim<'_>, world: &World, fault: Fault) {
    let live = &world.live;
    match fault {
        Fault::Kill(number) => kill(sim, world, number),
        Fault::PowerCut(operations) => world.disk.cut_power_after(operations),
        Fault::Parted(place, number) => sim.partition(place_name(place), node::name(number)),
        Fault::Held(place, number) => sim.hold(place_name(place), node::name(number)),
        Fault::LogEmptied => live.restart_empty(),
        Fault::LogRolledBack => live.roll_back(world.replica.borrow().clone()),
        Fault::LogRestarted => live.restart(),
        Fault::LogFlushed => live.flush_all(),
        Fault::RoomForgotten(room) => world.room_ids().get(room).into_iter().for_each(|room| live.forget(*room)),
        Fault::LogAway => live.set_reachable(false),
        Fault::StoreAway => world.store.set_reachable(false),
        Fault::StoreInterrupted(rows) => world.store.interrupt_next_store(rows),
        Fault::Apart(number) => set_link(world, number, true, |link| &link.apart),
        Fault::AnswersLost(number) => set_link(world, number, true, |link| &link.loses_answers),
        Fault::Unheard => world.network.is_cut.store(true, Ordering::Relaxed),
        Fault::FramesLost(once_in) => frames::lose(world, once_in),
    }
}

/// A node's process ends; it writes nothing any more, not even what ends in good order would.
fn kill(sim: &mut Sim<'_>, world: &World, number: usize) {
    if let Some(cluster) = world.clusters.borrow_mut().get_mut(number) {
        *cluster = None;
    }
    world.disk.change_hands();
    sim.crash(node::name(number));
}

fn start_again(sim: &mut Sim<'_>, number: usize) {
    if !sim.is_host_running(node::name(number)) {
        sim.bounce(node::name(number));
    }
}

/// Some of these may overlap with their like: then the first end ends both.
fn end(sim: &mut Sim<'_>, world: &World, fault: Fault) {
    match fault {
        Fault::Kill(number) => start_again(sim, number),
        Fault::PowerCut(_) => {
            world.disk.keep_power();
            start_again(sim, 0);
        }
        Fault::Parted(place, number) => sim.repair(place_name(place), node::name(number)),
        Fault::Held(place, number) => sim.release(place_name(place), node::name(number)),
        Fault::LogAway => world.live.set_reachable(true),
        Fault::StoreAway => world.store.set_reachable(true),
        Fault::Apart(number) => set_link(world, number, false, |link| &link.apart),
        Fault::AnswersLost(number) => set_link(world, number, false, |link| &link.loses_answers),
        Fault::Unheard => world.network.is_cut.store(false, Ordering::Relaxed),
        Fault::FramesLost(_) => frames::lose_none(world),
        Fault::LogEmptied
        | Fault::LogRolledBack
        | Fault::LogRestarted
        | Fault::LogFlushed
        | Fault::RoomForgotten(_)
        | Fault::StoreInterrupted(_) => {}
    }
}

fn set_link(
    world: &World,
    number: usize,
    is_so: bool,
    what: impl Fn(&crate::distant::Link) -> &std::sync::atomic::AtomicBool,
) {
    if let Some(link) = world.links.get(number) {
        what(link).store(is_so, Ordering::Relaxed);
    }
}

/// What the live log has and nodes hold of each room.
fn everything_held(world: &World) -> BTreeMap<RoomId, Vec<wire::Event>> {
    world.room_ids().into_iter().map(|room| (room, world.held(room))).collect()
}

/// The one loss that is documented: the live log lost it, and every node that held it is gone, before it was stored.
fn excuse_lost(world: &World, before: &BTreeMap<RoomId, Vec<wire::Event>>) {
    for (room, events) in before {
        let (held, rows) = (world.held(*room), world.store.rows(*room));
        for event in events {
            let is_there = held.iter().chain(rows.iter().map(|row| &row.event)).any(|other| other.id == event.id);
            if let (false, Some(key)) = (is_there, &event.key) {
                world.story.tell(|| format!("{key} is lost with all that held it"));
                world.witness.borrow_mut().excused(key);
            }
        }
    }
}
