//! What links between nodes have to do, and what nodes do over them.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bobchat_proto::ids::{DeviceId, NodeId, UserId};
use bobchat_proto::wire;
use futures_util::future::{LocalBoxFuture, join};
use tokio::time::{Instant, sleep, timeout};

use crate::metrics::Metrics;
use crate::nodes::{NodePort, Nodes};
use crate::ports::memory::MemoryNodes;
use crate::ports::{
    Hold, Leased, NodeLife, NodeLink, NodeListener, NodeReply, NodeRequest, Packet, Peer, SettingsReport,
    SignedOutDevice,
};

/// How long something may take that has to happen; on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A lease that a case sees end.
const SHORT: Duration = Duration::from_millis(300);

/// A lease that no case sees end.
const LONG: Duration = Duration::from_secs(600);

/// What a busy machine may add to what takes a certain time.
const LATE: Duration = Duration::from_secs(5);

/// What the suite is run on: nodes that can hear each other, none at first.
#[async_trait(?Send)]
pub trait NodesSubject {
    /// Adds a node; on return it hears what is said.
    async fn join(&self, node: NodeId, listener: Weak<dyn NodeListener>) -> Arc<dyn NodeLink>;
}

/// Makes an empty subject for each case.
pub type MakeNodes<'a> = &'a dyn Fn() -> LocalBoxFuture<'a, Box<dyn NodesSubject>>;

/// Runs the suite.
pub async fn node_link(make: MakeNodes<'_>) {
    a_lease_has_one_life_until_it_ends(make().await).await;
    a_lease_that_is_missing_is_not_renewed(make().await).await;
    a_lease_is_given_back_by_who_has_it(make().await).await;
    what_is_said_reaches_those_it_is_for(make().await).await;
    a_question_has_one_answer_or_is_unavailable(make().await).await;
    all_are_asked_and_the_silent_ones_are_named(make().await).await;
    who_stops_renewing_is_gone_and_who_leaves_at_once(make().await).await;
    who_signed_out_is_noted_for_those_who_did_not_hear(make().await).await;
}

/// The reference as a subject.
#[derive(Default)]
pub struct MemoryNodesSubject(Arc<MemoryNodes>);

impl MemoryNodesSubject {
    /// Makes an empty one.
    #[must_use]
    pub fn boxed() -> LocalBoxFuture<'static, Box<dyn NodesSubject>> {
        Box::pin(std::future::ready(Box::<Self>::default() as Box<dyn NodesSubject>))
    }
}

#[async_trait(?Send)]
impl NodesSubject for MemoryNodesSubject {
    async fn join(&self, node: NodeId, listener: Weak<dyn NodeListener>) -> Arc<dyn NodeLink> {
        let link = self.0.join(node);
        link.listen(listener);
        link
    }
}

/// Keeps what a node heard.
#[derive(Default)]
struct Notes(Mutex<Vec<(NodeLife, Packet)>>);

impl NodeListener for Notes {
    fn heard(&self, from: NodeLife, packet: Packet) {
        self.0.lock().expect("no test panicked").push((from, packet));
    }
}

impl Notes {
    async fn next(&self) -> (NodeLife, Packet) {
        let heard = async {
            loop {
                if let Some(first) = self.0.lock().expect("no test panicked").pop() {
                    return first;
                }
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, heard).await.expect("something is heard")
    }
}

fn id(node: u64) -> NodeId {
    NodeId::new(node).expect("a good number")
}

fn peer(node: u64, life: u64) -> Peer {
    let life = NodeLife { node: id(node), life };
    Peer { life, version: "1.2.3".to_owned(), address: format!("127.0.0.1:{node}"), started_at: 1_767_225_600_000_000 }
}

async fn link(subject: &dyn NodesSubject, node: u64) -> (Arc<Notes>, Arc<dyn NodeLink>) {
    let notes = Arc::new(Notes::default());
    let listener: Arc<dyn NodeListener> = Arc::clone(&notes) as _;
    let link = subject.join(id(node), Arc::downgrade(&listener)).await;
    (notes, link)
}

async fn take(link: &Arc<dyn NodeLink>, peer: &Peer, lasting: Duration) {
    let held = link.hold(peer, lasting, false).await.expect("the link answers");
    let leases = leases_of(held);
    assert!(leases.iter().any(|leased| leased.peer == *peer && leased.remaining <= lasting), "{leases:?}");
}

fn leases_of(hold: Hold) -> Vec<Leased> {
    let held = if let Hold::Held(leases) = hold { Some(leases) } else { None };
    held.expect("the lease is held")
}

async fn leases(link: &Arc<dyn NodeLink>) -> Vec<Leased> {
    link.leases().await.expect("the link answers")
}

async fn a_lease_has_one_life_until_it_ends(subject: Box<dyn NodesSubject>) {
    let (_, link) = link(&*subject, 1).await;
    take(&link, &peer(1, 10), LONG).await;
    take(&link, &peer(2, 20), LONG).await;
    take(&link, &peer(1, 10), LONG).await;
    assert_eq!(link.hold(&peer(1, 11), LONG, false).await.expect("it answers"), Hold::Taken);
    let found: Vec<_> = leases(&link).await.into_iter().map(|leased| leased.peer).collect();
    assert_eq!(found, [peer(1, 10), peer(2, 20)], "as they were given, in the order of their nodes");
    take(&link, &peer(1, 10), SHORT).await;
    let begin = Instant::now();
    while leases(&link).await.len() > 1 {
        assert!(begin.elapsed() < PATIENCE, "it does not end");
        sleep(Duration::from_millis(10)).await;
    }
    take(&link, &peer(1, 11), LONG).await;
    assert_eq!(link.hold(&peer(1, 10), LONG, true).await.expect("it answers"), Hold::Taken, "who was frozen");
    assert_eq!(leases(&link).await.len(), 2);
}

async fn a_lease_that_is_missing_is_not_renewed(subject: Box<dyn NodesSubject>) {
    let (_, link) = link(&*subject, 1).await;
    assert_eq!(link.hold(&peer(1, 10), LONG, true).await.expect("it answers"), Hold::Lost);
    assert_eq!(leases(&link).await, []);
    take(&link, &peer(1, 10), LONG / 2).await;
    let renewed = link.hold(&peer(1, 10), LONG, true).await.expect("it answers");
    let held = leases_of(renewed);
    assert!(held[0].remaining > LONG / 2, "for longer now");
}

async fn a_lease_is_given_back_by_who_has_it(subject: Box<dyn NodesSubject>) {
    let (_, link) = link(&*subject, 1).await;
    take(&link, &peer(1, 10), LONG).await;
    link.let_go(peer(1, 11).life).await.expect("it answers");
    assert_eq!(leases(&link).await.len(), 1, "another life gives nothing back");
    link.let_go(peer(1, 10).life).await.expect("it answers");
    assert_eq!(leases(&link).await, []);
    take(&link, &peer(1, 11), LONG).await;
}

fn settings() -> SettingsReport {
    let faults = vec!["limits.sends_burst = 0: expected 1 to 9".to_owned()];
    SettingsReport {
        version: 3,
        refused: Some(4),
        faults,
        ignored: vec!["limits.new".to_owned()],
        looked_at: -1,
        unheeded: true,
    }
}

async fn what_is_said_reaches_those_it_is_for(subject: Box<dyn NodesSubject>) {
    let (at_one, one) = link(&*subject, 1).await;
    let (at_two, _two) = link(&*subject, 2).await;
    let (at_three, _three) = link(&*subject, 3).await;
    let from = peer(1, 10).life;
    let user = UserId::new(5).expect("a good number");
    let room = wire::Room { id: 7, member_count: 3, ..wire::Room::default() };
    let signal = wire::MembershipSignal { room: Some(room), member: true };
    let status = wire::NodeStatus { connections: 1, users: 2, rooms: 3, archive_lag_ms: Some(4) };
    for packet in [
        Packet::Came,
        Packet::Membership { user, signal },
        Packet::Ask { id: u64::MAX, request: NodeRequest::Status },
        Packet::Ask { id: 3, request: NodeRequest::SignOut(SignedOutDevice { user, device: None }) },
        Packet::Reply { id: 4, reply: NodeReply::Status(status) },
        Packet::Reply { id: 5, reply: NodeReply::SignedOut { connections: 6 } },
        Packet::SettingsChanged,
        Packet::Ask { id: 6, request: NodeRequest::Settings },
        Packet::Reply { id: 6, reply: NodeReply::Settings(settings()) },
        Packet::Left,
    ] {
        one.send(from, None, packet.clone()).await.expect("it is sent");
        assert_eq!(at_two.next().await, (from, packet.clone()));
        assert_eq!(at_three.next().await, (from, packet.clone()));
        one.send(from, Some(id(3)), packet.clone()).await.expect("it is sent");
        assert_eq!(at_three.next().await, (from, packet));
    }
    assert!(at_two.0.lock().expect("no test panicked").is_empty(), "not what was for another");
    assert!(at_one.0.lock().expect("no test panicked").is_empty(), "not what it said itself");
}

/// A node that answers what it is asked, unless it is mute.
struct Member {
    nodes: Arc<Nodes>,
    _listener: Arc<dyn NodeListener>,
}

struct Ears(Mutex<Option<Weak<Nodes>>>);

impl NodeListener for Ears {
    fn heard(&self, from: NodeLife, packet: Packet) {
        let nodes = self.0.lock().expect("no test panicked").as_ref().and_then(Weak::upgrade);
        match nodes.as_ref().and_then(|nodes| nodes.heard(from, packet)) {
            Some(Packet::Came) => nodes.iter().for_each(|nodes| nodes.look_soon()),
            Some(Packet::Left) => nodes.iter().for_each(|nodes| nodes.left(from)),
            _ => {}
        }
    }
}

impl Member {
    async fn join(subject: &dyn NodesSubject, number: u64) -> Self {
        let ears = Arc::new(Ears(Mutex::new(None)));
        let listener: Arc<dyn NodeListener> = Arc::clone(&ears) as _;
        let link = subject.join(id(number), Arc::downgrade(&listener)).await;
        let port = NodePort { link, node: id(number), ..NodePort::alone("1.2.3", number) };
        let metrics = Metrics::register(&mut prometheus_client::registry::Registry::default());
        let nodes = Arc::new(Nodes::new(port, 1, metrics));
        *ears.0.lock().expect("no test panicked") = Some(Arc::downgrade(&nodes));
        nodes.join().await.expect("the link answers");
        Self { nodes, _listener: listener }
    }

    /// Keeps the lease and answers, until something else is done.
    async fn live<T>(&self, until: impl Future<Output = T>) -> T {
        let keeping = async {
            let mut next = Instant::now();
            loop {
                self.nodes.step(&mut next).await;
            }
        };
        let answering = async {
            while let Some(asked) = self.nodes.question().await {
                let reply = NodeReply::SignedOut { connections: u32::try_from(asked.id % 7).unwrap_or(0) };
                self.nodes.answer(asked.from, asked.id, reply).await;
            }
        };
        tokio::select! {
            done = until => done,
            ((), ()) = join(keeping, answering) => unreachable!("both go on for ever"),
        }
    }

    /// Waits until this node knows so many others.
    async fn knows(&self, count: usize) {
        let known = async {
            while self.nodes.others().len() != count {
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, known).await.expect("the others are known");
    }
}

async fn a_question_has_one_answer_or_is_unavailable(subject: Box<dyn NodesSubject>) {
    let (one, two) = (Member::join(&*subject, 1).await, Member::join(&*subject, 2).await);
    let asking = async {
        one.knows(1).await;
        two.live(one.nodes.ask(id(2), NodeRequest::Status, PATIENCE)).await
    };
    assert!(matches!(one.live(asking).await, Ok(NodeReply::SignedOut { .. })));
    let short = Duration::from_millis(200);
    for nobody in [2, 3] {
        let error = one.nodes.ask(id(nobody), NodeRequest::Status, short).await.expect_err("nobody answers");
        assert!(error.to_string().contains(&format!("node {nobody}")), "{error}");
    }
}

async fn all_are_asked_and_the_silent_ones_are_named(subject: Box<dyn NodesSubject>) {
    let (one, two) = (Member::join(&*subject, 1).await, Member::join(&*subject, 2).await);
    let mute = Member::join(&*subject, 3).await;
    // Longer than it takes to ask again: two questions are two answers of one node.
    let asking = one.nodes.ask_all(NodeRequest::Status, Duration::from_secs(4));
    let answers = two.live(one.live(asking)).await;
    let summary: Vec<_> = answers.iter().map(|(peer, reply)| (peer.life.node.get(), reply.is_some())).collect();
    assert_eq!(summary, [(2, true), (3, false)]);
    assert_eq!(mute.nodes.own().life.node, id(3));
}

async fn who_stops_renewing_is_gone_and_who_leaves_at_once(subject: Box<dyn NodesSubject>) {
    let (one, two) = (Member::join(&*subject, 1).await, Member::join(&*subject, 2).await);
    let three = Member::join(&*subject, 3).await;
    one.live(one.knows(2)).await;
    let life = three.nodes.life().expect("it has its lease");
    assert!(one.nodes.is_alive(life));
    three.nodes.leave().await;
    one.live(one.knows(1)).await;
    assert!(!one.nodes.is_alive(life) && three.nodes.life().is_none());
    let before = two.nodes.life().expect("it has its lease");
    let begin = Instant::now();
    one.live(one.knows(0)).await;
    assert!(begin.elapsed() <= crate::nodes::LEASE + LATE, "the lease of a node that stands still ends");
    assert!(two.nodes.life().is_none(), "it knows so itself, and says nothing under it any more");
    two.live(one.live(join(one.knows(1), two.knows(1)))).await;
    let after = two.nodes.life().expect("it has a lease again");
    assert_ne!(before.life, after.life, "another life");
    assert!(one.nodes.is_alive(after) && !one.nodes.is_alive(before));
}

async fn who_signed_out_is_noted_for_those_who_did_not_hear(subject: Box<dyn NodesSubject>) {
    let (_, one) = link(&*subject, 1).await;
    let (_, two) = link(&*subject, 2).await;
    let who = |user, device| SignedOutDevice {
        user: UserId::new(user).expect("a good number"),
        device: DeviceId::new(device).ok(),
    };
    one.note_sign_out(who(5, 6)).await.expect("it is noted");
    let (before, mark) = two.signed_out_since(None).await.expect("it is read");
    assert_eq!(before, [], "who begins has nobody who signed out before");
    for device in [7, 8, 0] {
        one.note_sign_out(who(5, device)).await.expect("it is noted");
    }
    let (noted, next) = two.signed_out_since(Some(mark)).await.expect("it is read");
    assert_eq!(noted, [who(5, 7), who(5, 8), who(5, 0)]);
    assert_eq!(two.signed_out_since(Some(next)).await.expect("it is read"), (Vec::new(), next));
}
