use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bobchat_proto::ids::{Epoch, Position, RoomId, Sequence};
use bobchat_proto::wire::{self, event::Body};
use futures_util::FutureExt as _;

use super::schedule::{Act, Fault};
use crate::log::runs::Rows;
use crate::log::{Archive, Call, Job, Node, Permit, Raise, Reply, Salvage, Send, Step, Unarchived};
use crate::ports::memory::{LiveImage, ManualClock, MemoryEventStore, MemoryLiveLog};
use crate::ports::{FenceError, Incarnation, LiveLog as _, LogRow, Outcome, Raiser, Unavailable};

pub(super) const NODES: usize = 3;

pub(super) const ROOM: RoomId = match RoomId::new(17) {
    Ok(room) => room,
    Err(_) => unreachable!(),
};

/// The messages: 0, 3 and 4 are Ada's; 1 removes Bob; 2 is Bob's; 5 is sent at the end, when all is well.
pub(super) const OPS: usize = 6;
pub(super) const REMOVAL: usize = 1;
pub(super) const BOBS: usize = 2;
pub(super) const PROBE: usize = 5;
const ADA: u64 = 1;
const BOB: u64 = 2;

/// 2026-01-01T00:00:00Z.
const BEGIN_MICROS: i64 = 1_767_225_600_000_000;

/// A job of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// By its first message.
    Send(usize),
    Raise,
    Archive,
    Salvage,
}

impl Who {
    pub(super) const fn kind(self) -> usize {
        match self {
            Self::Send(_) => 0,
            Self::Raise => 1,
            Self::Archive => 2,
            Self::Salvage => 3,
        }
    }
}

/// What a client wants, and what really became of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Op {
    pub(super) made_at: i64,
    pub(super) attempts: u32,
    pub(super) history: bool,
    pub(super) acked: bool,
    /// A live log took it once.
    pub(super) accepted: bool,
    /// It was neither in the live log nor stored, once.
    pub(super) redis_lost: bool,
    /// The lives of nodes that held it.
    pub(super) holders: BTreeSet<(usize, u32)>,
}

pub(super) fn key(op: usize) -> String {
    format!("k{op}")
}

pub(super) fn author(op: usize) -> u64 {
    if op == BOBS { BOB } else { ADA }
}

pub(super) fn body(op: usize) -> Body {
    if op == REMOVAL {
        Body::Left(wire::MemberLeft { user: BOB })
    } else {
        Body::Message(wire::Message { text: key(op) })
    }
}

/// Whose message an event is.
pub(super) fn op_of(event: &wire::Event) -> usize {
    event.key.as_deref().and_then(|key| key.strip_prefix('k')).and_then(|op| op.parse().ok()).unwrap()
}

/// What a node knows of the room.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) row: LogRow,
    pub(super) head: crate::ports::Head,
    pub(super) bob_removed: bool,
}

/// Messages on their way through a node.
pub(super) struct Sending {
    pub(super) ops: Vec<usize>,
    /// Absent while it is to be decided.
    pub(super) job: Option<Send>,
    pub(super) permit: Option<Permit>,
    pub(super) ask: bool,
    pub(super) in_doubt: bool,
    pub(super) tries: u32,
}

pub(super) struct SimNode {
    pub(super) life: u32,
    pub(super) connection: usize,
    pub(super) ports: Node,
    pub(super) view: Option<View>,
    pub(super) sends: Vec<Sending>,
    pub(super) raise: Option<Raise>,
    pub(super) archive: Option<Archive>,
    pub(super) salvage: Option<Salvage>,
}

/// A call that arrives after whoever made it has gone.
struct Ghost {
    node: usize,
    server: usize,
    incarnation: Option<Incarnation>,
    call: Call,
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    /// A letter of the list in [`super`].
    pub(super) class: &'static str,
    pub(super) what: String,
}

/// One room, three nodes, two servers of live logs (a second one takes over when a replica is promoted), one
/// store.
pub(super) struct World {
    pub(super) clock: Arc<ManualClock>,
    pub(super) servers: [Arc<MemoryLiveLog>; 2],
    pub(super) up: [bool; 2],
    pub(super) master: usize,
    replica: LiveImage,
    pub(super) store: Arc<MemoryEventStore>,
    pub(super) nodes: Vec<SimNode>,
    pub(super) ops: Vec<Op>,
    /// What ever stood at a position, by key.
    pub(super) stood: BTreeMap<Position, usize>,
    /// Where events stood first, by identifier.
    pub(super) first: BTreeMap<u64, Position>,
    ghosts: Vec<Ghost>,
    /// When epochs got their base: keys made later need not be looked up.
    pub(super) opened_at: BTreeMap<Epoch, i64>,
    pub(super) dead: BTreeSet<(usize, u32)>,
    next_id: u64,
    next_raiser: u128,
    /// No faults any more: clients try until they are answered.
    pub(super) at_rest: bool,
    pub(super) violations: Vec<Violation>,
    pub(super) trace: bool,
}

impl World {
    /// A room that was just made, on a server that keeps `tail` stored events; `history` has a bit for each
    /// message that waits until it is stored.
    pub(super) fn new(tail: u64, history: usize) -> Self {
        let clock = Arc::new(ManualClock::new(BEGIN_MICROS));
        let server = || MemoryLiveLog::with_tail(Arc::clone(&clock) as _, tail);
        let servers = [server(), server()];
        servers[1].set_reachable(false);
        let store = MemoryEventStore::new(Arc::clone(&clock) as _);
        let node = |_| SimNode::new(&servers[0], &store);
        let nodes = (0..NODES).map(node).collect();
        let history = |op: usize| op == REMOVAL || (history >> op & 1 == 1 && op != PROBE);
        let ops = (0..OPS).map(|op| Op { history: history(op), ..Op::default() }).collect();
        let replica = servers[0].image();
        let mut world = Self {
            clock,
            servers,
            up: [true, false],
            master: 0,
            replica,
            store,
            nodes,
            ops,
            stood: BTreeMap::new(),
            first: BTreeMap::new(),
            ghosts: Vec::new(),
            opened_at: BTreeMap::new(),
            dead: BTreeSet::new(),
            next_id: 1,
            next_raiser: 1,
            at_rest: false,
            violations: Vec::new(),
            trace: false,
        };
        world.make_room();
        world
    }

    fn make_room(&mut self) {
        self.nodes[0].raise = Some(Raise::new(ROOM, None, Raiser(0)).salvage_for(super::node::SALVAGE_FOR));
        while self.nodes[0].raise.is_some() {
            self.step(0, Who::Raise, Fault::None);
        }
        self.clock.advance(Duration::from_secs(2));
        self.replica = self.servers[0].image();
    }

    pub(super) fn violate(&mut self, class: &'static str, what: String) {
        self.say(|| format!("!! {class}: {what}"));
        self.violations.push(Violation { class, what });
    }

    pub(super) fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("      {}", what());
        }
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(super) fn next_raiser(&mut self) -> Raiser {
        self.next_raiser += 1;
        Raiser(self.next_raiser)
    }

    /// The jobs that are on their way, but for sends that wait for a raise of their node.
    pub(super) fn jobs(&self) -> Vec<(usize, Who)> {
        let mut jobs = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            jobs.extend(node.sends.iter().map(|sending| (at, Who::Send(sending.ops[0]))));
            jobs.extend(node.raise.iter().map(|_| (at, Who::Raise)));
            jobs.extend(node.archive.iter().map(|_| (at, Who::Archive)));
            jobs.extend(node.salvage.iter().map(|_| (at, Who::Salvage)));
        }
        jobs
    }

    /// Takes one act; returns whether it was possible.
    pub(super) fn apply(&mut self, act: Act) -> bool {
        self.clock.advance(Duration::from_millis(1));
        let possible = match act {
            Act::Start(op, node) => self.start(node, vec![op]),
            Act::StartBatch(node) => self.start(node, vec![3, 4]),
            Act::Step(node, who, fault) => self.step(node, who, fault),
            Act::Drop(node, who, late) => self.drop_job(node, who, late),
            Act::Ghost => self.ghost(),
            Act::StartArchive(node) => self.start_archive(node),
            Act::StartSalvage(node) => self.start_salvage(node),
            Act::Beat(node) => self.beat(node),
            Act::Follow(node) => self.catch_up(node),
            Act::Switch(node) => self.switch(node),
            Act::Kill(node) => self.kill(node),
            _ => self.happen(act),
        };
        self.look_around();
        possible
    }

    /// What happens to servers and to time.
    fn happen(&mut self, act: Act) -> bool {
        let master = &self.servers[self.master];
        let other = 1 - self.master;
        match act {
            Act::Empty => master.restart_empty(),
            Act::Restart => master.restart(),
            Act::RollBack => master.roll_back(self.replica.clone()),
            Act::FlushAll => master.flush_all(),
            Act::ForgetRoom => master.forget(ROOM),
            Act::Snapshot => self.replica = master.image(),
            Act::Failover if self.up[other] => return false,
            Act::Failover => {
                self.servers[other].roll_back(self.replica.clone());
                self.set_up(other, true);
                self.master = other;
            }
            Act::Demote if !self.up[other] => return false,
            Act::Demote => self.set_up(other, false),
            Act::StoreDown => self.store.set_reachable(false),
            Act::StoreUp => self.store.set_reachable(true),
            Act::Pause => self.clock.advance(Duration::from_secs(2)),
            Act::LongPause => {
                self.clock.advance(Duration::from_secs(11 * 60));
                self.ghosts.clear();
            }
            _ => return false,
        }
        true
    }

    fn set_up(&mut self, server: usize, up: bool) {
        self.up[server] = up;
        self.servers[server].set_reachable(up);
    }

    pub(super) fn switch(&mut self, node: usize) -> bool {
        let connection = self.nodes[node].connection;
        let other = 1 - connection;
        if !self.up[other] || (self.up[connection] && other != self.master) {
            return false;
        }
        self.nodes[node].connection = other;
        self.nodes[node].ports.live = Arc::clone(&self.servers[other]) as _;
        true
    }

    fn kill(&mut self, node: usize) -> bool {
        let fresh = SimNode::new(&self.servers[0], &self.store);
        let old = std::mem::replace(&mut self.nodes[node], fresh);
        self.dead.insert((node, old.life));
        self.nodes[node].life = old.life + 1;
        self.nodes[node].connection = old.connection;
        self.nodes[node].ports.live = old.ports.live;
        true
    }

    fn drop_job(&mut self, at: usize, who: Who, late: bool) -> bool {
        let node = &mut self.nodes[at];
        let step = match who {
            Who::Send(op) => {
                let Some(index) = node.sends.iter().position(|sending| sending.ops[0] == op) else { return false };
                node.sends.remove(index).job.as_mut().and_then(call)
            }
            Who::Raise => node.raise.take().as_mut().and_then(call),
            Who::Archive => node.archive.take().as_mut().and_then(call),
            Who::Salvage => node.salvage.take().as_mut().and_then(call),
        };
        if let Some(call) = step.filter(|_| late) {
            self.keep_ghost(at, call);
        }
        true
    }

    fn keep_ghost(&mut self, node: usize, call: Call) {
        if is_remote(&call) {
            let server = self.nodes[node].connection;
            let incarnation = now(self.servers[server].incarnation()).ok();
            self.ghosts.push(Ghost { node, server, incarnation, call });
        }
    }

    /// A restarted server hears nothing of what was sent to it before.
    fn ghost(&mut self) -> bool {
        if self.ghosts.is_empty() {
            return false;
        }
        let Ghost { node, server, incarnation, call } = self.ghosts.remove(0);
        self.say(|| format!("arrives late: {call:?}"));
        if !is_live(&call) || now(self.servers[server].incarnation()).ok() == incarnation {
            let mut ports = self.nodes[node].ports.clone();
            ports.live = Arc::clone(&self.servers[server]) as _;
            self.carry_out(&ports, server, call, &mut None);
        }
        true
    }

    pub(super) fn forget_ghosts(&mut self) {
        self.ghosts.clear();
    }

    /// Carries out what a job of a node calls, as the fault says.
    pub(super) fn perform(&mut self, at: usize, call: Call, permit: &mut Option<Permit>, fault: Fault) -> Reply {
        let node = &self.nodes[at];
        let (ports, server) = (node.ports.clone(), node.connection);
        if !is_remote(&call) {
            let before = ports.unarchived.of(ROOM);
            let reply = self.carry_out(&ports, server, call, permit);
            self.check_release(at, &before);
            return reply;
        }
        match fault {
            Fault::NotDone => return unanswered(&call),
            Fault::Late => {
                let reply = unanswered(&call);
                self.keep_ghost(at, call);
                return reply;
            }
            Fault::Partial(rows) if matches!(call, Call::Store(_)) => self.store.interrupt_next_store(rows),
            Fault::Partial(_) | Fault::Lost | Fault::None => {}
        }
        let lost = unanswered(&call);
        let reply = self.carry_out(&ports, server, call, permit);
        if fault == Fault::Lost { lost } else { reply }
    }

    fn carry_out(&mut self, ports: &Node, server: usize, call: Call, permit: &mut Option<Permit>) -> Reply {
        let call_again = call.clone();
        let trims = matches!(call, Call::Advance(_) | Call::Open(_));
        let before = if trims { self.servers[server].image().events(ROOM) } else { Vec::new() };
        if matches!(call, Call::Wait { .. }) {
            return Reply::Noted;
        }
        if let Call::Store(rows) = &call {
            rows.iter().for_each(|row| self.stands(&row.event));
        }
        let reply = now(ports.carry_out(ROOM, call, permit));
        match (&call_again, &reply) {
            (Call::Append(append), Reply::Appended(Ok(appended))) => {
                for outcome in &appended.outcomes {
                    if let Outcome::Appended(event) = outcome {
                        self.taken(event, append.salvage);
                    }
                }
            }
            (Call::Begin(span, _), Reply::Begun(Ok(true))) => {
                let now = self.now();
                self.opened_at.entry(span.epoch).or_insert(now);
            }
            _ => {}
        }
        if trims {
            self.check_trim(server, &before);
        }
        reply
    }

    pub(super) fn now(&self) -> i64 {
        crate::ports::Clock::now_micros(&*self.clock)
    }

    /// All stored rows, also while the store does not answer.
    pub(super) fn rows(&self) -> Rows {
        let rows = self.store.rows(ROOM).into_iter();
        rows.map(|row| ((Sequence(row.event.seq), Epoch(row.event.epoch)), row)).collect()
    }

    pub(super) fn row(&self) -> LogRow {
        self.store.row(ROOM).unwrap()
    }
}

impl SimNode {
    fn new(live: &Arc<MemoryLiveLog>, store: &Arc<MemoryEventStore>) -> Self {
        let ports =
            Node { live: Arc::clone(live) as _, store: Arc::clone(store) as _, unarchived: Unarchived::new(1 << 20) };
        Self { life: 0, connection: 0, ports, view: None, sends: Vec::new(), raise: None, archive: None, salvage: None }
    }
}

/// What a job would call now.
pub(super) fn call<J: Job>(job: &mut J) -> Option<Call> {
    match job.next() {
        Step::Call(call) => Some(call),
        Step::Done(_) => None,
    }
}

/// The memory adapters never wait.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

fn is_live(call: &Call) -> bool {
    matches!(
        call,
        Call::Append(_)
            | Call::Fence(_)
            | Call::Open(_)
            | Call::Advance(_)
            | Call::LiveHead
            | Call::Tail { .. }
            | Call::Tails(_)
    )
}

fn is_remote(call: &Call) -> bool {
    !matches!(call, Call::Reserve { .. } | Call::Hold(_) | Call::Archived(_) | Call::Release(_) | Call::Wait { .. })
}

/// What a job is told when there was no answer.
fn unanswered(call: &Call) -> Reply {
    let no = || Unavailable::new("simulated");
    match call {
        Call::LogRow { .. } => Reply::LogRow(Err(no())),
        Call::Raise { .. } => Reply::Raised(Err(no())),
        Call::Begin(..) => Reply::Begun(Err(no())),
        Call::Store(_) | Call::MarkRenumbered(_) | Call::NoteHead(_) => Reply::Written(Err(no())),
        Call::Stored { .. } => Reply::Stored(Err(no())),
        Call::Keys { .. } => Reply::Keys(Err(no())),
        Call::AllKeys(_) => Reply::AllKeys(Err(no())),
        Call::Rows(_) => Reply::Rows(Err(no())),
        Call::NotedHead => Reply::NotedHead(Err(no())),
        Call::Append(_) => Reply::Appended(Err(crate::ports::LiveRefusal::Unknown(no()))),
        Call::Fence(_) => Reply::Fenced(Err(FenceError::Unavailable(no()))),
        Call::Open(_) => Reply::Opened(Err(FenceError::Unavailable(no()))),
        Call::Advance(_) => Reply::Advanced(Err(crate::ports::AdvanceError::Unavailable(no()))),
        Call::LiveHead => Reply::LiveHead(Err(no())),
        Call::Tail { .. } => Reply::Tail(Err(no())),
        Call::Tails(_) => Reply::Tails(Err(no())),
        Call::Reserve { .. } | Call::Hold(_) | Call::Archived(_) | Call::Release(_) | Call::Wait { .. } => Reply::Noted,
    }
}
