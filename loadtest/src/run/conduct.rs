//! Conducts a run: signs users in, has one process or several make the load, watches the servers meanwhile, and
//! writes down what came of it.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};

use super::agreement::{Agreement, Seen, settle, wait_until_left};
use super::engine::{self, Ended};
use super::faults::{Breaker, Mark, read_marks};
use super::live::Live;
use super::monitor::{Monitor, Reading, ServerPoint, Watched};
use super::outcome::{Latencies, Outcome, Server, Totals, VERSION};
use super::parts;
use super::series::{Collector, Second};
use super::spread::Spread;
use crate::check::{Counts, Kind, Violations};
use crate::client::{Credentials, Target, sign_in_guests};
use crate::dialect::Dialect;
use crate::machine::Machine;
use crate::scenario::{FaultKind, Scenario};

/// All that a run needs to know beside its scenario.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) targets: Vec<Target>,
    pub(crate) json: bool,
    /// Users to be; guests without.
    pub(crate) tokens: Option<Vec<Credentials>>,
    pub(crate) watched: Watched,
    /// A file of what somebody else breaks meanwhile.
    pub(crate) marks: Option<PathBuf>,
    pub(crate) spread: Spread,
}

/// So many users of a target: those that were given, or guests that are signed up for this run alone, for their
/// tokens end soon.
fn users(plan: &Plan, target: &Target, count: usize) -> anyhow::Result<Vec<Credentials>> {
    if !matches!(target.dialect, Dialect::Bobchat(_)) {
        return Ok(Vec::new());
    }
    let Some(given) = &plan.tokens else { return sign_in_guests(target, count) };
    let users = given.get(..count);
    Ok(users.with_context(|| format!("{count} members need as many users; --tokens has {}", given.len()))?.to_vec())
}

/// Runs a scenario once.
///
/// # Errors
/// When it cannot be run. A broken promise is in the outcome.
pub(crate) async fn run(plan: &Plan, scenario: &Scenario) -> anyhow::Result<Outcome> {
    let target = plan.targets.first().context("a run needs a target")?;
    check(plan, scenario)?;
    let live = Live::begin(scenario);
    live.say("signing in");
    let users = users(plan, target, scenario.users())?;
    let orders = plan.spread.orders(plan, scenario, &users)?;
    live.say("connecting");
    let conductor = Conductor {
        plan,
        scenario,
        empty: plan.watched.read()?,
        live,
        collector: RefCell::new(Collector::new(orders.len())?),
        begun: RefCell::default(),
        closed: RefCell::default(),
    };
    let ended = match orders.as_slice() {
        [order] => {
            vec![engine::run(order, conductor.begin(), |second| conductor.take(0, second), conductor.close()).await?]
        }
        orders => parts::run(orders, &conductor).await?,
    };
    wait_until_left(&plan.watched, &conductor.empty).await;
    conductor.outcome(&ended)
}

/// What would be found out only after thousands of users were signed up, or in the end.
fn check(plan: &Plan, scenario: &Scenario) -> anyhow::Result<()> {
    plan.spread.orders(plan, scenario, &[])?;
    plan.watched.read()?;
    let is_paused = scenario.fault.iter().any(|fault| fault.kind == FaultKind::Pause);
    ensure!(!is_paused || !plan.watched.processes.is_empty(), "a pause needs the --pid of each server");
    Ok(())
}

/// A run under way.
pub(super) struct Conductor<'a> {
    plan: &'a Plan,
    scenario: &'a Scenario,
    /// The servers before anybody connected.
    empty: Reading,
    live: Live,
    collector: RefCell<Collector>,
    begun: RefCell<Option<Begun>>,
    closed: RefCell<Option<Closed>>,
}

/// What goes on while it is measured.
struct Begun {
    started_at_ms: u64,
    /// The servers at the beginning.
    reading: Reading,
    monitor: Monitor,
    breaker: Breaker,
}

/// What is known when everything has arrived.
struct Closed {
    started_at_ms: u64,
    /// The servers at the beginning, and in the end.
    before: Reading,
    reading: Reading,
    agreement: Vec<Agreement>,
    series: Vec<ServerPoint>,
    faults: Vec<Mark>,
}

impl Conductor<'_> {
    /// All members are ready.
    pub(super) async fn begin(&self) -> anyhow::Result<()> {
        let reading = self.plan.watched.read()?;
        let watched = self.plan.watched.clone();
        let breaker = Breaker::begin(self.scenario.fault.clone(), watched.processes.clone())?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started_at_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let monitor = Monitor::begin(watched, reading.clone());
        self.begun.replace(Some(Begun { started_at_ms, reading, monitor, breaker }));
        self.live.start();
        Ok(())
    }

    /// A process tells a second.
    pub(super) fn take(&self, part: usize, second: Second) {
        if let Some(point) = self.collector.borrow_mut().take(part, second) {
            let server = self.begun.borrow().as_ref().and_then(|begun| begun.monitor.newest());
            self.live.show(point, server.as_ref());
        }
    }

    /// A process has told everything.
    pub(super) fn ended(&self) {
        self.collector.borrow_mut().ended();
    }

    /// Everything has arrived, and all are still connected.
    pub(super) async fn close(&self) -> anyhow::Result<()> {
        let begun = self.begun.take().context("a run begins before it ends")?;
        let faults = begun.breaker.finish()?;
        let series = begun.monitor.finish();
        let seen = self.seen();
        let settled = settle(&self.plan.watched, &self.empty, &begun.reading, seen).await;
        let (reading, agreement) = settled.context("the server ended during the run")?;
        let marks = self.plan.marks.as_deref().map(|path| read_marks(path, begun.started_at_ms)).transpose()?;
        let faults = faults.into_iter().chain(marks.unwrap_or_default()).collect();
        let (started_at_ms, before) = (begun.started_at_ms, begun.reading);
        self.closed.replace(Some(Closed { started_at_ms, before, reading, agreement, series, faults }));
        Ok(())
    }

    fn seen(&self) -> Seen {
        let collector = self.collector.borrow();
        let totals = &collector.totals;
        let is_steady = totals.connects == 0 && totals.slow_closed == 0 && self.scenario.slow.is_none();
        let events = is_steady.then_some(totals.events);
        let slow = self.scenario.slow.map(|_| (totals.slow_told, totals.slow_closed));
        Seen { sent: totals.sent, acked: totals.acked, events, connections: collector.connected(), slow }
    }

    fn outcome(self, ended: &[Ended]) -> anyhow::Result<Outcome> {
        let closed = self.closed.take().context("a run ends before it is judged")?;
        let (series, counts, connections) = self.collector.into_inner().finish();
        let mut violations = Violations::default();
        for one in ended {
            violations.merge(one.violations.clone());
        }
        for one in closed.agreement.iter().filter(|one| !one.agrees) {
            violations.add(Kind::Metrics, || one.words());
        }
        unproven(self.scenario, &counts, &mut violations);
        let greatest = |figure: fn(&Ended) -> f64| ended.iter().map(figure).fold(0.0, f64::max);
        Ok(Outcome {
            version: VERSION,
            scenario: self.scenario.clone(),
            targets: self.plan.targets.iter().map(ToString::to_string).collect(),
            format: if self.plan.json { "json" } else { "protobuf" }.to_owned(),
            started_at_ms: closed.started_at_ms,
            machine: Machine::this(),
            processes: ended.len(),
            seconds: greatest(|one| one.seconds),
            connections,
            harness_cpu: greatest(|one| one.harness_cpu),
            totals: Totals::of(&counts),
            latency: Latencies::of(&counts),
            server: self.plan.watched.is_anything().then(|| server(&closed, &counts, connections, self.scenario)),
            faults: closed.faults,
            agreement: closed.agreement,
            violations,
            search: None,
            series,
        })
    }
}

/// A run that did not see what its scenario is there to see has proven nothing.
fn unproven(scenario: &Scenario, counts: &Counts, violations: &mut Violations) {
    let Some(slow) = scenario.slow else { return };
    let figures =
        [("closed", counts.slow_closed, slow.closes_min), ("told to load anew", counts.slow_resets, slow.resets_min)];
    for (what, seen, least) in figures.into_iter().filter(|(_, seen, least)| seen < least) {
        violations.add(Kind::Unproven, || {
            format!("slow readers were {what} {seen} times, not {least}: send more, for longer, or let them read less")
        });
    }
}

fn server(closed: &Closed, counts: &Counts, connections: u64, scenario: &Scenario) -> Server {
    let (before, after) = (&closed.before, &closed.reading);
    let cpu_seconds = after.cpu_seconds_since(before);
    let grown = before.resident_bytes.zip(after.resident_bytes).map(|(before, after)| after.saturating_sub(before));
    let came = scenario.connect.is_some() && connections > 0;
    Server {
        cpu_seconds,
        cpu_us_per_delivery: cpu_seconds
            .filter(|_| counts.delivered > 0)
            .map(|seconds| seconds * 1e6 / counts.delivered as f64),
        resident_bytes_before: before.resident_bytes,
        resident_bytes_after: after.resident_bytes,
        resident_bytes_per_connection: grown.filter(|_| came).map(|bytes| bytes as f64 / connections as f64),
        series: closed.series.clone(),
    }
}
