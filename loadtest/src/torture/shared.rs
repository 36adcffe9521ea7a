//! What the clients of a run and whoever drives it have in common.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bobchat_proto::ids::Position;
use bobchat_proto::wire;

use super::check::{Check, NodeLog};
use super::history::deed::Deed;
use super::history::fact::{Fact, Op, Told};
use super::history::writer::Writer;

/// What a run wants of its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Talk; those who are away in this stage go.
    Talk {
        /// The stage of the run.
        stage: u32,
    },
    /// All come, make no new messages, and get what they have acknowledged.
    Settle,
    /// Go.
    End,
}

/// Where a client is.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    /// Signed in and subscribed.
    pub(super) connected: bool,
    /// Messages that are not acknowledged, and rooms that it is not back in.
    pub(super) pending: usize,
    /// How far its stream of each room has come.
    pub(super) cursors: HashMap<u64, Position>,
}

/// What is counted while a run goes on, for whoever drives it.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Messages that were acknowledged, each once.
    pub(super) acked: u64,
    /// Different places in the order of rooms that anybody was shown an event at; none without a history.
    pub(super) places: usize,
    /// Acknowledgements, repeated ones too, by the node that gave them.
    pub(super) acks_of_node: BTreeMap<usize, u64>,
    /// Answers that were errors, by code.
    pub(super) errors: BTreeMap<String, u64>,
    /// Connections that were opened.
    pub(super) connections: u64,
    /// The same, by the node.
    pub(super) connections_of_node: BTreeMap<usize, u64>,
    /// Connections that ended.
    pub(super) gone: u64,
    /// Requests that got no answer on a connection that went on.
    pub(super) unanswered: u64,
    /// Streams that were told to begin anew.
    pub(super) resets: u64,
}

/// Where facts go.
#[derive(Debug)]
pub(super) enum Sink {
    /// To the checker at once.
    Check(Box<Check>),
    /// Into files, which are judged in the end.
    History(Box<Writer>),
}

/// What has happened, and where each client is.
#[derive(Debug)]
pub(super) struct State {
    began: Instant,
    last: u64,
    pub(super) sink: Sink,
    pub(super) progress: Progress,
    pub(super) clients: Vec<Standing>,
    /// The node that each client is at.
    nodes: Vec<usize>,
    /// How often all were told to lose their connections.
    pub(super) storms: u64,
    /// Why the history is not whole.
    pub(super) failed: Option<anyhow::Error>,
}

impl State {
    /// Gives the next line its number.
    fn next_op(&mut self) -> Op {
        self.last += 1;
        Op { n: self.last, t_ns: self.now_ns() }
    }

    /// The time of the run.
    pub(super) fn now_ns(&self) -> u64 {
        crate::time::nanos(self.began.elapsed()).max(1)
    }

    /// Clients that are at a node.
    pub(super) fn connected_to(&self, node: usize) -> usize {
        self.clients.iter().zip(&self.nodes).filter(|(client, at)| client.connected && **at == node).count()
    }

    /// Takes what a client did or heard.
    pub(super) fn tell(&mut self, client: usize, fact: Fact, events: Vec<wire::Event>) {
        self.count(client, &fact);
        let op = self.next_op();
        let written = match &mut self.sink {
            Sink::Check(check) => {
                check.take(&Told { op, client, fact, events });
                Ok(())
            }
            Sink::History(writer) => {
                let written = writer.tell(op, client, &fact, &events);
                self.progress.places = writer.places();
                written
            }
        };
        self.keep(written);
    }

    /// Takes what the nemesis did, and gives it its number.
    pub(super) fn done(&mut self, mut deed: Deed) -> Deed {
        deed.op = self.next_op();
        let written = match &mut self.sink {
            Sink::Check(_) => Ok(()),
            Sink::History(writer) => writer.done(&deed),
        };
        self.keep(written);
        deed
    }

    /// Takes what a node shows in the end.
    pub(super) fn shown(&mut self, log: &NodeLog) {
        let written = match &mut self.sink {
            Sink::Check(_) => Ok(()),
            Sink::History(writer) => writer.shown(log),
        };
        self.keep(written);
    }

    /// The first failure to write counts.
    fn keep(&mut self, written: anyhow::Result<()>) {
        if let Err(error) = written {
            self.failed.get_or_insert(error);
        }
    }

    fn count(&mut self, client: usize, fact: &Fact) {
        let progress = &mut self.progress;
        match fact {
            Fact::Connected { node } => {
                progress.connections += 1;
                *progress.connections_of_node.entry(*node).or_insert(0) += 1;
                if let Some(at) = self.nodes.get_mut(client) {
                    *at = *node;
                }
            }
            Fact::Gone { .. } => progress.gone += 1,
            Fact::Ok { .. } => {
                progress.acked += 1;
                let node = self.nodes.get(client).copied().unwrap_or_default();
                *progress.acks_of_node.entry(node).or_insert(0) += 1;
            }
            Fact::Refused { code } => *progress.errors.entry(code.clone()).or_insert(0) += 1,
            Fact::Unanswered => progress.unanswered += 1,
            Fact::Reset { .. } => progress.resets += 1,
            _ => {}
        }
    }
}

/// One state for all.
#[derive(Debug, Clone)]
pub(super) struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub(super) fn new(clients: usize, sink: Sink) -> Self {
        Self(Arc::new(Mutex::new(State {
            began: Instant::now(),
            last: 0,
            sink,
            progress: Progress::default(),
            clients: vec![Standing::default(); clients],
            nodes: vec![0; clients],
            storms: 0,
            failed: None,
        })))
    }

    /// The state. Never held across an await.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A client that panicked has left at worst a count behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what a client did or heard.
    pub(super) fn tell(&self, client: usize, fact: Fact) {
        self.lock().tell(client, fact, Vec::new());
    }
}
