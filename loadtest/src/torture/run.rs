//! A run, from the first room to the verdict.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bobchat_proto::ids::Position;
use tokio::sync::watch;

use super::abuser::Abuser;
use super::check::{Check, NodeLog};
use super::door::Door;
use super::history::deed::Deed;
use super::history::fact::Fact;
use super::history::meta::Meta;
use super::history::writer::Writer;
use super::outbox::{Outbox, Waits};
use super::person::Person;
use super::plan::{Over, Plan};
use super::random::Random;
use super::rest::{Account, Rest, is_temporary};
use super::shared::{Progress, Shared, Sink, Standing, Wish};
use super::verdict::Verdict;
use crate::check::Kind;

/// When clients send again. A run is short: nobody waits as long as a busy server may ask.
const WAITS: Waits = Waits { unasked: Duration::from_millis(100), most: Duration::from_secs(2) };

/// How often a person is told how far the reading is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// How often it is looked whether something has come.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A run that goes on until [`Torture::finish`]. Dropping it ends it without a verdict.
#[derive(Debug)]
pub struct Torture {
    nodes: Vec<SocketAddr>,
    seed: u64,
    rooms: Vec<u64>,
    owner: Account,
    rest: Rest,
    shared: Shared,
    wish: watch::Sender<Wish>,
    thread: Option<JoinHandle<()>>,
    settled: Duration,
    /// What nodes showed so far, for whoever is judged as it happens.
    logs: Vec<NodeLog>,
    /// How often all was drained.
    drained: usize,
}

impl Torture {
    /// Signs up the clients, makes the rooms, and lets them talk. They are in stage 0.
    ///
    /// # Errors
    /// When the nodes refuse a step.
    pub fn start(plan: Plan) -> anyhow::Result<Self> {
        let rest = Rest::new();
        let node = *plan.nodes.first().context("a run needs a node")?;
        let names = (0..plan.clients.len()).map(|number| format!("client {number}"));
        let accounts = names.map(|name| rest.sign_up(node, &name)).collect::<anyhow::Result<Vec<_>>>()?;
        let owner = accounts.first().context("a run needs a client")?.clone();
        let make = |number| rest.make_room(node, &owner, &format!("torture {number}"));
        let rooms = (0..plan.rooms).map(make).collect::<anyhow::Result<Vec<_>>>()?;
        let sink = match &plan.history {
            Some(folder) => Sink::History(Box::new(Writer::begin(folder, accounts.len() + plan.abusers)?)),
            None => Sink::Check(Box::default()),
        };
        let shared = Shared::new(accounts.len(), sink);
        let (wish, wishes) = watch::channel(Wish::Talk { stage: 0 });
        let mut people = Vec::new();
        for ((number, account), client) in accounts.into_iter().enumerate().zip(&plan.clients) {
            let mine: Vec<u64> =
                rooms.iter().enumerate().filter(|(room, _)| client.is_in(*room)).map(|(_, id)| *id).collect();
            for room in &mine {
                rest.join(node, &account, *room)?;
            }
            let door = |room: &usize| rooms.get(*room).map(|id| (*id, Door::inside()));
            shared.tell(number, Fact::Is { user: account.user, over_rest: client.over == Over::Rest });
            people.push(Person {
                number,
                account,
                plan: client.clone(),
                nodes: plan.nodes.clone(),
                rooms: mine,
                rate: plan.rate,
                patience: plan.patience,
                random: Random::new(plan.seed, number as u64),
                shared: shared.clone(),
                wish: wishes.clone(),
                outbox: Outbox::new(WAITS),
                cursors: HashMap::new(),
                tries: 0,
                next_message: Instant::now(),
                doors: client.doors.iter().filter_map(door).collect(),
                storms: 0,
            });
        }
        let make = |number| {
            let number = people.len() + number;
            let account = rest.sign_up(node, &format!("abuser {number}"))?;
            let room = *rooms.first().context("a run needs a room")?;
            rest.join(node, &account, room)?;
            let random = Random::new(plan.seed, number as u64);
            let (nodes, shared, wish) = (plan.nodes.clone(), shared.clone(), wishes.clone());
            Ok(Abuser { number, account, nodes, room, random, shared, wish })
        };
        let abusers = (0..plan.abusers).map(make).collect::<anyhow::Result<Vec<_>>>()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::spawn(move || runtime.block_on(live_all(people, abusers)));
        let settled = Duration::ZERO;
        let (nodes, seed) = (plan.nodes, plan.seed);
        let thread = Some(thread);
        Ok(Self { nodes, seed, rooms, owner, rest, shared, wish, thread, settled, logs: Vec::new(), drained: 0 })
    }

    /// The identifiers of the rooms, by number.
    #[must_use]
    pub fn rooms(&self) -> &[u64] {
        &self.rooms
    }

    /// Messages that were acknowledged so far.
    #[must_use]
    pub fn acked(&self) -> u64 {
        self.shared.lock().progress.acked
    }

    /// What was counted so far.
    pub(super) fn progress(&self) -> Progress {
        self.shared.lock().progress.clone()
    }

    /// The time of the run.
    pub(super) fn now_ns(&self) -> u64 {
        self.shared.lock().now_ns()
    }

    /// Takes what the nemesis did into the history, and gives it its number there.
    pub(super) fn done(&self, deed: Deed) -> Deed {
        self.shared.lock().done(deed)
    }

    /// Clients that are at a node.
    pub(super) fn connected_to(&self, node: usize) -> usize {
        self.shared.lock().connected_to(node)
    }

    /// Messages that are not acknowledged, of all clients.
    pub(super) fn pending(&self) -> usize {
        self.shared.lock().clients.iter().map(|client| client.pending).sum()
    }

    /// Writes into the history what the run is.
    ///
    /// # Errors
    /// When the disk takes it not.
    pub(super) fn describe(&self, meta: &Meta) -> anyhow::Result<()> {
        match &self.shared.lock().sink {
            Sink::History(writer) => writer.meta(meta),
            Sink::Check(_) => Ok(()),
        }
    }

    /// All clients lose their connections at once, and come back.
    pub(super) fn storm(&self) {
        self.shared.lock().storms += 1;
    }

    /// How often a request was answered with this code so far.
    #[must_use]
    pub fn errors(&self, code: &str) -> u64 {
        self.shared.lock().progress.errors.get(code).copied().unwrap_or(0)
    }

    /// Begins another stage: who is away in it goes, who was away comes back. All talk again if they had settled.
    pub fn stage(&self, stage: u32) {
        self.wish.send_replace(Wish::Talk { stage });
    }

    /// Waits until so many more messages were acknowledged.
    ///
    /// # Errors
    /// When that takes longer than `within`.
    pub fn talk(&self, messages: u64, within: Duration) -> anyhow::Result<()> {
        let goal = self.acked() + messages;
        self.wait(within, || format!("{} of {goal} messages acknowledged", self.acked()), || self.acked() >= goal)
    }

    /// Stops new messages, and waits until all clients are there, everything is acknowledged, and every node and
    /// every client has the same head of each room. Says how long that took.
    ///
    /// # Errors
    /// When that takes longer than `within`: what is missing.
    pub fn settle(&mut self, within: Duration) -> anyhow::Result<Duration> {
        let begin = Instant::now();
        self.wish.send_replace(Wish::Settle);
        self.wait(within, || self.unsettled().unwrap_or_default(), || self.unsettled().is_none())?;
        self.settled = begin.elapsed();
        Ok(self.settled)
    }

    /// Ends the run and judges it. Every node must answer.
    ///
    /// # Errors
    /// When a node's logs cannot be read, or the run is written into a history: then that is judged.
    pub fn finish(mut self) -> anyhow::Result<Verdict> {
        self.end();
        if self.drained == 0 {
            self.drain()?;
        }
        let mut state = self.shared.lock();
        let check: &mut Check = match &mut state.sink {
            Sink::Check(check) => check,
            Sink::History(_) => bail!("a run with a history is judged by its files"),
        };
        check.finish(&self.logs);
        let (tally, violations) = (check.tally.clone(), check.violations.clone());
        Ok(Verdict { seed: self.seed, tally, violations, settled: self.settled })
    }

    /// Reads what every node shows of every room. Asked again, the nodes count as others: what they show must not
    /// differ from before.
    ///
    /// # Errors
    /// When a node's logs cannot be read.
    pub(super) fn drain(&mut self) -> anyhow::Result<()> {
        for (number, node, room) in self.to_drain() {
            self.read(number, node, room)?;
        }
        self.drained += 1;
        Ok(())
    }

    /// The same; what cannot be read is a promise that was broken, for it was there. Tells now and then how far it is: a
    /// long run takes minutes.
    pub(super) fn drain_what_there_is(&mut self, tell: impl Fn(&str)) {
        let (all, mut told) = (self.to_drain(), Instant::now());
        let count = all.len();
        for (done, (number, node, room)) in all.into_iter().enumerate() {
            if told.elapsed() > TELL_EVERY {
                told = Instant::now();
                tell(&format!("  read {done} of the {count} logs that the nodes show"));
            }
            if let Err(error) = self.read(number, node, room) {
                let kind = if is_temporary(&error) { Kind::Unsettled } else { Kind::Loss };
                self.shared.tell(0, Fact::fault(kind, format!("room {room} cannot be read: {error:#}")));
            }
        }
        self.drained += 1;
    }

    fn to_drain(&self) -> Vec<(usize, SocketAddr, u64)> {
        let first = self.drained * self.nodes.len();
        let nodes = self.nodes.iter().copied().enumerate();
        nodes.flat_map(|(number, node)| self.rooms.iter().map(move |room| (first + number, node, *room))).collect()
    }

    fn read(&mut self, number: usize, node: SocketAddr, room: u64) -> anyhow::Result<()> {
        let log = self.rest.log((number, node), &self.owner, room)?;
        let mut state = self.shared.lock();
        state.shown(&log);
        if matches!(state.sink, Sink::Check(_)) {
            drop(state);
            self.logs.push(log);
        }
        Ok(())
    }

    /// Ends a run with a history: all that happened is in its files.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn close(mut self) -> anyhow::Result<()> {
        self.end();
        let mut state = self.shared.lock();
        if let Sink::History(writer) = &mut state.sink {
            writer.flush()?;
        }
        state.failed.take().map_or(Ok(()), Err)
    }

    /// What keeps the run from being settled.
    fn unsettled(&self) -> Option<String> {
        let clients = self.shared.lock().clients.clone();
        for (number, client) in clients.iter().enumerate() {
            if !client.connected {
                return Some(format!("client {number} is not connected"));
            }
            if client.pending > 0 {
                return Some(format!("client {number} waits for {} answers", client.pending));
            }
        }
        self.rooms.iter().find_map(|room| self.differs(*room, &clients))
    }

    /// Who is elsewhere in a room than the others. A client may not have heard of a new epoch in which nothing
    /// happened yet, so of clients the seq counts.
    fn differs(&self, room: u64, clients: &[Standing]) -> Option<String> {
        let mut head: Option<Position> = None;
        for node in &self.nodes {
            match (self.rest.head(*node, &self.owner, room), head) {
                (Ok(at), Some(head)) if at != head => {
                    return Some(format!("room {room}: {node} is at {at:?}, another at {head:?}"));
                }
                (Ok(at), _) => head = Some(at),
                (Err(error), _) => return Some(format!("{error:#}")),
            }
        }
        let head = head?;
        let mut cursors =
            clients.iter().enumerate().filter_map(|(number, client)| Some((number, client.cursors.get(&room)?)));
        let (number, cursor) = cursors.find(|(_, cursor)| cursor.seq != head.seq)?;
        Some(format!("room {room}: client {number} is at {cursor:?}, nodes at {head:?}"))
    }

    fn wait(&self, within: Duration, missing: impl Fn() -> String, is_there: impl Fn() -> bool) -> anyhow::Result<()> {
        let begin = Instant::now();
        while !is_there() {
            ensure!(self.is_alive(), "a client panicked");
            if let Some(error) = self.shared.lock().failed.take() {
                return Err(error.context("the history cannot be written"));
            }
            if begin.elapsed() > within {
                bail!("not within {within:?}: {} (seed {})", missing(), self.seed);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    fn end(&mut self) {
        self.wish.send_replace(Wish::End);
        if let Some(thread) = self.thread.take() {
            // A panic was printed by its thread.
            let _ = thread.join();
        }
    }
}

impl Drop for Torture {
    fn drop(&mut self) {
        self.end();
    }
}

async fn live_all(people: Vec<Person>, abusers: Vec<Abuser>) {
    let mut living = tokio::task::JoinSet::new();
    for person in people {
        living.spawn(person.live());
    }
    for abuser in abusers {
        living.spawn(abuser.live());
    }
    while let Some(ended) = living.join_next().await {
        if ended.is_err() {
            // A client that panicked has checked nothing since: the run must not pass.
            return;
        }
    }
}
