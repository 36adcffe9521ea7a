//! Nodes that know of each other: each has one lease, whatever it does and whoever is connected to it (log protocol,
//! rule 30), and can ask the others something.
//!
//! - [`Nodes`] keeps this node's lease, knows who else has one, asks and is asked.
//! - `roster`: who has a lease, as far as this node knows. `calls`: the questions that wait for answers.
//!
//! - `gone`: devices that signed out just now. `unnoted`: those that could not be noted for other nodes yet.
//! - `serve`: what this node does when another one asks or tells it something.

mod calls;
mod gone;
mod roster;
mod serve;
mod unnoted;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bobchat_proto::ids::NodeId;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::metrics::Metrics;
use crate::ports::{
    Alone, Hold, NodeLife, NodeLink, NodeReply, NodeRequest, Packet, Peer, SignedOutDevice, Unavailable,
};
use calls::Calls;
pub(crate) use gone::GoneDevices;
pub use roster::Change;
use roster::Roster;
pub use serve::{SIGN_OUT_DEADLINE, SignedOut};
use unnoted::Unnoted;

/// How long a lease lasts that is not renewed: so long the people of a node that was killed seem to be here. Three
/// renewals may fail before; a pause of the store that keeps the leases is not a death of all nodes.
pub const LEASE: Duration = Duration::from_secs(10);

/// How often a lease is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(3);

/// How soon a lease is asked for again when that failed, or another life has it.
const RENEW_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// How soon leases are read when somebody said that they came: what several say is read once.
const LOOK_AFTER: Duration = Duration::from_millis(50);

/// When a node that has not answered is asked again: what it was asked may have been lost.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Questions of other nodes that wait to be answered: sign-outs of a busy minute.
const ASKED_MAX: usize = 256;

/// What makes a node one of several.
#[derive(Clone)]
pub struct NodePort {
    /// Leads to the others.
    pub link: Arc<dyn NodeLink>,
    /// Names this one among those that run at the same time.
    pub node: NodeId,
    /// The version of its program.
    pub version: String,
    /// Where clients reach it.
    pub address: String,
    /// How long the oldest event has waited for the archive, where there is one.
    pub archive_lag: ArchiveLag,
}

/// Tells how long the oldest event has waited for the archive; none where there is no archive.
pub type ArchiveLag = Arc<dyn Fn() -> Option<Duration> + Send + Sync>;

impl NodePort {
    /// A node that is alone.
    #[must_use]
    pub fn alone(version: impl Into<String>, address: impl ToString) -> Self {
        let (version, address) = (version.into(), address.to_string());
        Self { link: Arc::new(Alone), node: ONLY, version, address, archive_lag: Arc::new(|| None) }
    }
}

/// The number of a node that is alone.
const ONLY: NodeId = match NodeId::new(1) {
    Ok(id) => id,
    Err(_) => unreachable!(),
};

/// A question of another node.
pub(crate) struct Asked {
    pub(crate) from: NodeLife,
    pub(crate) id: u64,
    pub(crate) request: NodeRequest,
}

/// This node among the others.
pub struct Nodes {
    link: Arc<dyn NodeLink>,
    own: Mutex<Own>,
    roster: Mutex<Roster>,
    calls: Calls,
    /// Somebody came, or said something and is not known.
    look: Notify,
    /// Somebody gave their lease back.
    ended: Notify,
    asked: mpsc::Sender<Asked>,
    questions: tokio::sync::Mutex<mpsc::Receiver<Asked>>,
    /// Sign-outs to be noted with the next renewal of the lease.
    unnoted: Unnoted,
    archive_lag: ArchiveLag,
    metrics: Metrics,
}

/// The node's own lease.
struct Own {
    peer: Peer,
    /// Until when it is surely held.
    held_until: Option<Instant>,
    /// Set when the node gave it back for good.
    has_left: bool,
    /// Up to which note this node knows who signed out.
    mark: Option<u64>,
}

impl Own {
    fn is_held(&self) -> bool {
        self.held_until.is_some_and(|end| end > Instant::now())
    }

    /// Ends a life whose lease was lost, and returns it.
    fn end_life(&mut self) -> NodeLife {
        let ended = self.peer.life;
        self.held_until = None;
        self.peer.life.life = new_life();
        tracing::warn!(node.id = %ended.node, "this node lost its lease and takes it anew");
        ended
    }
}

impl Nodes {
    pub(crate) fn new(port: NodePort, started_at: i64, metrics: Metrics) -> Self {
        let NodePort { link, node, version, address, archive_lag } = port;
        let peer = Peer { life: NodeLife { node, life: new_life() }, version, address, started_at };
        let (asked, questions) = mpsc::channel(ASKED_MAX);
        Self {
            link,
            own: Mutex::new(Own { peer, held_until: None, has_left: false, mark: None }),
            roster: Mutex::default(),
            calls: Calls::default(),
            look: Notify::new(),
            ended: Notify::new(),
            asked,
            questions: tokio::sync::Mutex::new(questions),
            unnoted: Unnoted::default(),
            archive_lag,
            metrics,
        }
    }

    /// This node, as its lease says it.
    pub fn own(&self) -> Peer {
        lock(&self.own).peer.clone()
    }

    /// This node's life, while it has its lease. Without it nothing is said that others believe for as long as the
    /// lease lasts.
    pub fn life(&self) -> Option<NodeLife> {
        let own = lock(&self.own);
        own.is_held().then_some(own.peer.life)
    }

    /// The other nodes that have a lease.
    pub fn others(&self) -> Vec<Peer> {
        lock(&self.roster).alive(Instant::now())
    }

    /// Whether this life of another node has a lease, as far as is known.
    pub fn is_alive(&self, life: NodeLife) -> bool {
        lock(&self.roster).is_alive(life, Instant::now())
    }

    pub(crate) fn archive_lag(&self) -> Option<Duration> {
        (self.archive_lag)()
    }

    /// Has the leases read soon.
    pub(crate) fn look_soon(&self) {
        self.look.notify_one();
    }

    /// Takes the lease; tries once.
    pub(crate) async fn join(&self) -> Result<Change, Unavailable> {
        self.renew().await
    }

    /// Waits until something has to be done about leases, does it, and says who came and who is gone. To be called
    /// again and again: it renews the lease in time.
    pub(crate) async fn step(&self, next: &mut Instant) -> Change {
        let ends = lock(&self.roster).next_end();
        let ended = async {
            match ends {
                Some(end) => tokio::select! { () = sleep_until(end) => {} () = self.ended.notified() => {} },
                None => self.ended.notified().await,
            }
        };
        tokio::select! {
            () = sleep_until(*next) => {
                let renewed = self.renew().await;
                let held = self.life().is_some();
                *next = Instant::now() + if renewed.is_ok() && held { RENEW_EVERY } else { RENEW_AGAIN_AFTER };
                renewed.unwrap_or_else(|error| {
                    tracing::warn!(error = %error, "could not renew this node's lease");
                    Change::default()
                })
            }
            () = ended => lock(&self.roster).expire(Instant::now()),
            () = self.look.notified() => {
                sleep(LOOK_AFTER).await;
                self.read().await.unwrap_or_default()
            }
        }
    }

    async fn renew(&self) -> Result<Change, Unavailable> {
        let Some((peer, renewing)) = self.next_lease().await else { return Ok(Change::default()) };
        let asked_at = Instant::now();
        match self.link.hold(&peer, LEASE, renewing).await? {
            Hold::Held(leases) => {
                lock(&self.own).held_until = Some(asked_at + LEASE);
                let mut change = lock(&self.roster).seen(peer.life.node, leases, asked_at);
                if !renewing {
                    change.own = true;
                    // Who misses it reads it with the next renewal.
                    let _ = self.link.send(peer.life, None, Packet::Came).await;
                }
                self.note_again().await;
                change.signed_out = self.read_sign_outs().await;
                Ok(change)
            }
            Hold::Taken if !renewing => {
                tracing::warn!(node.id = %peer.life.node, "another process runs as this node: waiting for its end");
                Ok(Change::default())
            }
            Hold::Lost | Hold::Taken => {
                self.metrics.node_leases_lost.inc();
                lock(&self.own).end_life();
                Ok(Change::default())
            }
        }
    }

    /// The lease to ask for, and whether it is held; none when the node has left. A lease that was lost ended a
    /// life: what is asked for is another's.
    async fn next_lease(&self) -> Option<(Peer, bool)> {
        let ended = {
            let mut own = lock(&self.own);
            if own.has_left {
                return None;
            }
            (own.held_until.is_some() && !own.is_held()).then(|| own.end_life())
        };
        if let Some(ended) = ended {
            self.metrics.node_leases_lost.inc();
            // A renewal whose answer was lost may have kept it.
            let _ = self.link.let_go(ended).await;
        }
        let own = lock(&self.own);
        Some((own.peer.clone(), own.is_held()))
    }

    /// Reads who has a lease.
    async fn read(&self) -> Result<Change, Unavailable> {
        let asked_at = Instant::now();
        let leases = self.link.leases().await?;
        Ok(lock(&self.roster).seen(self.own().life.node, leases, asked_at))
    }

    /// Who signed out elsewhere since this was last asked. Most of it was heard already; what was lost on the way is
    /// found here within [`RENEW_EVERY`].
    async fn read_sign_outs(&self) -> Vec<SignedOutDevice> {
        let mark = lock(&self.own).mark;
        match self.link.signed_out_since(mark).await {
            Ok((noted, next)) => {
                lock(&self.own).mark = Some(next);
                noted
            }
            Err(error) => {
                tracing::warn!(error = %error, "could not read who signed out");
                Vec::new()
            }
        }
    }

    /// Gives the lease back: this node's people are gone at once, and not when it would have ended.
    pub async fn leave(&self) {
        let life = {
            let mut own = lock(&self.own);
            (own.held_until, own.has_left) = (None, true);
            own.peer.life
        };
        let given_back = self.link.let_go(life).await;
        let said = self.link.send(life, None, Packet::Left).await;
        if let Err(error) = given_back.and(said) {
            tracing::warn!(error = %error, "could not give back this node's lease: it ends by itself");
        }
    }

    /// Says something to all others; may be lost.
    pub async fn tell(&self, packet: Packet) -> Result<(), Unavailable> {
        self.link.send(self.own().life, None, packet).await
    }

    /// Notes that somebody signed out, for nodes that do not hear it now. Where that cannot be noted now either, it is
    /// with the next renewal of this node's lease.
    pub(crate) async fn note_sign_out(&self, who: SignedOutDevice) {
        if let Err(error) = self.link.note_sign_out(who).await {
            tracing::warn!(user.id = %who.user, error = %error, "could not note a sign-out for nodes that do not hear it");
            self.unnoted.add(who);
        }
    }

    /// Notes what could not be noted before.
    async fn note_again(&self) {
        while let Some(who) = self.unnoted.next() {
            if self.link.note_sign_out(who).await.is_err() {
                // What led to this renewal is away again. A note that was made twice is read twice, and does no harm.
                return self.unnoted.add(who);
            }
        }
    }

    /// Asks one other node, and waits for its answer until `deadline` has passed.
    ///
    /// # Errors
    /// [`Unavailable`]: nobody knows the node, or it did not answer in time.
    pub async fn ask(&self, node: NodeId, request: NodeRequest, deadline: Duration) -> Result<NodeReply, Unavailable> {
        let peer = self.others().into_iter().find(|peer| peer.life.node == node);
        let peer = peer.ok_or_else(|| Unavailable::new(format!("no node {node} has a lease")))?;
        let mut answers = self.gather(vec![peer.life], Some(node), request, deadline).await?;
        answers
            .remove(&peer.life)
            .ok_or_else(|| Unavailable::new(format!("node {node} did not answer within {deadline:?}")))
    }

    /// Asks all other nodes that have a lease, and waits for their answers until `deadline` has passed: for each
    /// node its answer, or none.
    pub async fn ask_all(&self, request: NodeRequest, deadline: Duration) -> Vec<(Peer, Option<NodeReply>)> {
        // Who came just now may not be known yet; whose lease is known may be gone, and does not answer.
        if let Err(error) = self.read().await {
            tracing::warn!(error = %error, "could not read which nodes there are");
        }
        let peers = self.others();
        let lives = peers.iter().map(|peer| peer.life).collect();
        let mut answers = self.gather(lives, None, request, deadline).await.unwrap_or_else(|error| {
            tracing::warn!(error = %error, "could not ask the other nodes");
            BTreeMap::new()
        });
        let silent = peers.len().saturating_sub(answers.len());
        self.metrics.node_requests_unanswered.inc_by(silent as u64);
        peers
            .into_iter()
            .map(|peer| {
                let answer = answers.remove(&peer.life);
                (peer, answer)
            })
            .collect()
    }

    /// Asks some nodes, known to have a lease or not, and gives what was answered until `deadline` has passed.
    ///
    /// # Errors
    /// [`Unavailable`]: too many questions wait for answers.
    pub(crate) async fn ask_some(
        &self,
        nodes: Vec<NodeLife>,
        request: NodeRequest,
        deadline: Duration,
    ) -> Result<Vec<NodeReply>, Unavailable> {
        let asked = nodes.len();
        let answers = self.gather(nodes, None, request, deadline).await?;
        self.metrics.node_requests_unanswered.inc_by(asked.saturating_sub(answers.len()) as u64);
        Ok(answers.into_values().collect())
    }

    /// Asks `to`, then again those that are silent, until all of `expected` have answered or the time is over.
    async fn gather(
        &self,
        expected: Vec<NodeLife>,
        to: Option<NodeId>,
        request: NodeRequest,
        deadline: Duration,
    ) -> Result<BTreeMap<NodeLife, NodeReply>, Unavailable> {
        let end = Instant::now() + deadline;
        let mut call = self.calls.open()?;
        let mut answers = BTreeMap::new();
        let ask = Packet::Ask { id: call.id, request };
        self.metrics.node_requests.inc();
        let _ = timeout_at(end, self.link.send(self.own().life, to, ask.clone())).await;
        let mut again = Instant::now() + ASK_AGAIN_AFTER;
        while answers.len() < expected.len() {
            match timeout_at(again.min(end), call.next()).await {
                // Who is not expected came since, or pretends.
                Ok((from, reply)) if expected.contains(&from) => drop(answers.insert(from, reply)),
                Ok(_) => {}
                Err(_) if Instant::now() >= end => break,
                Err(_) => {
                    again = Instant::now() + ASK_AGAIN_AFTER;
                    for silent in expected.iter().filter(|life| !answers.contains_key(life)) {
                        let asked = self.link.send(self.own().life, Some(silent.node), ask.clone());
                        let _ = timeout_at(end, asked).await;
                    }
                }
            }
        }
        Ok(answers)
    }

    /// Takes what another node said about nodes; gives back what is for others to handle.
    pub(crate) fn heard(&self, from: NodeLife, packet: Packet) -> Option<Packet> {
        match packet {
            Packet::Ask { id, request } => {
                if self.asked.try_send(Asked { from, id, request }).is_err() {
                    self.metrics.node_requests_dropped.inc();
                }
            }
            Packet::Reply { id, reply } => {
                if !self.calls.answered(id, from, reply) {
                    self.metrics.node_answers_late.inc();
                }
            }
            Packet::Came | Packet::Left | Packet::Membership { .. } | Packet::SettingsChanged => return Some(packet),
        }
        None
    }

    /// Another life gave its lease back.
    pub(crate) fn left(&self, life: NodeLife) {
        lock(&self.roster).left(life);
        self.ended.notify_one();
    }

    /// The next question of another node.
    pub(crate) async fn question(&self) -> Option<Asked> {
        self.questions.lock().await.recv().await
    }

    /// Answers a question.
    pub(crate) async fn answer(&self, to: NodeLife, id: u64, reply: NodeReply) {
        let said = self.link.send(self.own().life, Some(to.node), Packet::Reply { id, reply }).await;
        if let Err(error) = said {
            tracing::debug!(node.id = %to.node, error = %error, "could not answer a node");
        }
    }
}

/// A random number. Where the system gives none, the process could not have made its keys either.
fn new_life() -> u64 {
    crate::random::number().unwrap_or_default().max(1)
}

/// A thread that panicked under a lock left what it guards whole: every change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
