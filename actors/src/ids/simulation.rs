//! Generators that share two or three workers, in any order of steps: stopped for a while, with clocks that are set back
//! and forth, over a table whose answers are lost, whose calls arrive late, and which is read as it was before.
//!
//! A seed says all of a run. Then no identifier may have been made twice, and those of one generator have to rise.
//! Rules of the table are taken away to see that the runs would notice.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures_util::task::noop_waker;
use proptest::prelude::*;

use super::*;
use crate::ports::Workers;

const NODES: usize = 4;
const STEPS: usize = 300;
/// Clocks stand at whole ticks, and identifiers of a tick are counted from its first: who uses a time that is another's
/// makes the same ones.
const TICK: i64 = 10_000_000;
const BEGIN: i64 = 1_800_000_000_000_000;

/// What keeps identifiers apart.
#[derive(Debug, Clone, Copy)]
struct Rules {
    /// A lease takes the place of the one that it was made for alone, not of whatever the same holder has now.
    time_compared: bool,
    /// The next holder begins where the last one's lease ended.
    end_told: bool,
}

const ALL: Rules = Rules { time_compared: true, end_told: true };

impl Rules {
    fn told(self, lease: &WorkerLease) -> WorkerLease {
        let hidden = if self.end_told { 0 } else { 10 * TICK };
        WorkerLease { valid_until: lease.valid_until - hidden, ..*lease }
    }
}

struct Random(u64);

impl Random {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }
}

type Replacement = (Option<WorkerLease>, WorkerLease);

struct Table {
    rules: Rules,
    workers: u16,
    state: Mutex<State>,
}

struct State {
    random: Random,
    leases: BTreeMap<u16, WorkerLease>,
    /// As it was some time ago.
    before: BTreeMap<u16, WorkerLease>,
    /// On their way still; whoever sent them has given up.
    late: Vec<Replacement>,
}

impl State {
    fn replace(&mut self, rules: Rules, (old, new): Replacement) -> LeaseUpdate {
        let known = self.leases.get(&new.worker).map(|lease| rules.told(lease));
        let same_holder = known.map(|lease| lease.holder) == old.map(|lease| lease.holder);
        let same_time =
            !rules.time_compared || known.map(|lease| lease.valid_until) == old.map(|lease| lease.valid_until);
        if !same_holder || !same_time {
            return LeaseUpdate::Changed(known);
        }
        if self.random.one_in(3) {
            self.before = self.leases.clone();
        }
        self.leases.insert(new.worker, new);
        LeaseUpdate::Done
    }
}

impl Table {
    fn land(&self) {
        let mut state = self.state.lock().unwrap();
        if let Some(late) = state.late.pop() {
            state.replace(self.rules, late);
        }
    }
}

/// Lets others go first.
async fn give_way() {
    let mut first = true;
    std::future::poll_fn(|_| if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }).await;
}

#[async_trait]
impl WorkerLeases for Table {
    fn workers(&self) -> Workers {
        Workers::Shared(self.workers)
    }

    async fn worker_leases(&self) -> Result<Vec<WorkerLease>, Unavailable> {
        give_way().await;
        let mut state = self.state.lock().unwrap();
        let old = state.random.one_in(4);
        let leases = if old { &state.before } else { &state.leases };
        Ok(leases.values().map(|lease| self.rules.told(lease)).collect())
    }

    async fn replace_worker_lease(
        &self,
        old: Option<WorkerLease>,
        new: WorkerLease,
    ) -> Result<LeaseUpdate, Unavailable> {
        give_way().await;
        let done = {
            let mut state = self.state.lock().unwrap();
            let lost = Err(Unavailable::new("planted"));
            match state.random.below(8) {
                0 => lost,
                1 => {
                    state.replace(self.rules, (old, new));
                    lost
                }
                2 => {
                    state.late.push((old, new));
                    lost
                }
                _ => Ok(state.replace(self.rules, (old, new))),
            }
        };
        give_way().await;
        done
    }
}

/// A node's clock: the true time, and by how much it is wrong.
struct NodeClock {
    time: Arc<AtomicI64>,
    wrong: AtomicI64,
}

impl Clock for NodeClock {
    fn now_micros(&self) -> i64 {
        self.time.load(Ordering::Relaxed) + self.wrong.load(Ordering::Relaxed)
    }
}

type Work<T> = Pin<Box<dyn Future<Output = Result<T, Unavailable>>>>;

/// What a node is at.
enum Life {
    Starting(Work<IdGenerator>),
    Up { ids: Arc<IdGenerator>, renewing: Option<Work<()>>, last: u64 },
}

struct Node {
    clock: Arc<NodeClock>,
    life: Life,
}

struct World {
    random: Random,
    time: Arc<AtomicI64>,
    table: Arc<Table>,
    nodes: Vec<Node>,
    made: HashMap<u64, usize>,
}

impl World {
    fn new(seed: u64, rules: Rules) -> Self {
        let mut random = Random(seed);
        let state =
            State { random: Random(random.next()), leases: BTreeMap::new(), before: BTreeMap::new(), late: Vec::new() };
        let workers = 2 + u16::try_from(random.below(2)).unwrap();
        let table = Arc::new(Table { rules, workers, state: Mutex::new(state) });
        let time = Arc::new(AtomicI64::new(BEGIN));
        let mut world = Self { random, time, table, nodes: Vec::new(), made: HashMap::new() };
        for _ in 0..NODES {
            let clock = Arc::new(NodeClock { time: world.time.clone(), wrong: AtomicI64::new(0) });
            let life = world.starting(&clock);
            world.nodes.push(Node { clock, life });
        }
        world
    }

    fn starting(&mut self, clock: &Arc<NodeClock>) -> Life {
        let random = Mutex::new(Random(self.random.next()));
        let tokens = Box::new(move || Ok(u128::from(random.lock().unwrap().next())));
        Life::Starting(Box::pin(IdGenerator::open_with(
            clock.clone(),
            self.table.clone(),
            IdMetrics::default(),
            tokens,
        )))
    }

    /// One step of somebody. A node that is not chosen for many of them is one that was stopped.
    fn step(&mut self) -> Result<(), String> {
        let chosen = usize::try_from(self.random.below(NODES as u64)).unwrap();
        match self.random.below(20) {
            0..3 => {
                let passed = self.ticks(6);
                self.time.fetch_add(passed, Ordering::Relaxed);
            }
            3 => {
                let wrong = self.ticks(40) - self.ticks(40);
                self.nodes[chosen].clock.wrong.store(wrong, Ordering::Relaxed);
            }
            4 => self.table.land(),
            5 if self.random.one_in(2) => {
                let clock = self.nodes[chosen].clock.clone();
                self.nodes[chosen].life = self.starting(&clock);
            }
            5..14 => self.work(chosen),
            _ => return self.make(chosen),
        }
        Ok(())
    }

    fn ticks(&mut self, limit: u64) -> i64 {
        TICK * self.random.below(limit).cast_signed()
    }

    /// The node's call to the table goes one step on.
    fn work(&mut self, chosen: usize) {
        let (waker, clock) = (noop_waker(), self.nodes[chosen].clock.clone());
        let mut context = Context::from_waker(&waker);
        match &mut self.nodes[chosen].life {
            Life::Starting(opening) => match opening.as_mut().poll(&mut context) {
                Poll::Pending => {}
                Poll::Ready(Ok(ids)) => {
                    self.nodes[chosen].life = Life::Up { ids: Arc::new(ids), renewing: None, last: 0 };
                }
                Poll::Ready(Err(_)) => self.nodes[chosen].life = self.starting(&clock),
            },
            Life::Up { ids, renewing, .. } => {
                let ids = ids.clone();
                let work = renewing.get_or_insert_with(|| Box::pin(async move { ids.renew().await }));
                if work.as_mut().poll(&mut context).is_ready() {
                    *renewing = None;
                }
            }
        }
    }

    fn make(&mut self, chosen: usize) -> Result<(), String> {
        let Life::Up { ids, last, .. } = &mut self.nodes[chosen].life else { return Ok(()) };
        for _ in 0..3 {
            let Ok(id) = ids.next() else { break };
            if id <= *last {
                return Err(format!("{id} after {last}"));
            }
            *last = id;
            if let Some(other) = self.made.insert(id, chosen) {
                return Err(format!("{id} of node {chosen} is one of node {other}'s"));
            }
        }
        Ok(())
    }
}

/// Runs a seed; returns how many identifiers were made.
fn run(seed: u64, rules: Rules) -> Result<usize, String> {
    let mut world = World::new(seed, rules);
    for _ in 0..STEPS {
        world.step()?;
    }
    Ok(world.made.len())
}

#[test]
fn no_identifier_is_made_twice_and_those_of_a_generator_rise() {
    let made: usize =
        (0..3_000).map(|seed| run(seed, ALL).unwrap_or_else(|error| panic!("seed {seed}: {error}"))).sum();
    assert!(made > 3_000 * 30, "only {made} were made");
}

proptest! {
    #[test]
    fn nor_with_any_other_seed(seed: u64) {
        prop_assert!(run(seed, ALL).is_ok());
    }
}

/// That the runs notice when a rule is missing.
fn breaks(rules: Rules) {
    assert!((0..3_000).any(|seed| run(seed, rules).is_err()), "nothing was made twice without it");
}

#[test]
fn rule_33_a_lease_replaces_just_the_one_that_it_was_made_for() {
    breaks(Rules { time_compared: false, ..ALL });
}

#[test]
fn rule_33_the_next_holder_begins_where_the_last_one_ended() {
    breaks(Rules { end_told: false, ..ALL });
}
