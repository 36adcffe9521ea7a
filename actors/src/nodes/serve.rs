use std::sync::Arc;
use std::time::Duration;

use bobchat_proto::ids::{Position, RoomId, UserId};
use bobchat_proto::wire::{self, server_frame::Body};
use futures_util::future::{join, join3};
use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, sleep};

use super::{Asked, Change};
use crate::core::Core;
use crate::ports::{
    NodeLife, NodeListener, NodeReply, NodeRequest, Packet, Peer, SettingsReport, SignedOutDevice, Unavailable,
};
use crate::room::{FirstPlaces, Frames, NodesChanged};
use crate::user::{SignOut, Tell};

/// Rooms that hear at once that nodes came or are gone, and the pause after them: each may ask all nodes something.
const ROOMS_AT_ONCE: usize = 500;
const ROOMS_PAUSE: Duration = Duration::from_millis(10);

/// Questions of other nodes that are worked on at once.
const ANSWERED_AT_ONCE: usize = 16;

/// How long a sign-out waits for the other nodes: with what its request takes otherwise it stays below the 5 s in
/// which connections have to be closed everywhere, and a node that was silent for a moment is asked twice.
pub const SIGN_OUT_DEADLINE: Duration = Duration::from_secs(3);

/// How long a room waits to hear from the nodes that follow it where its events stood before the log was lost: a node
/// whose connections to Redis were cut with this one's is back by then, and less than a command may take is spent.
const PLACES_DEADLINE: Duration = Duration::from_secs(2);

/// What came of a sign-out.
#[derive(Debug, Default)]
pub struct SignedOut {
    /// Connections that were told to close, on all nodes that answered.
    pub connections: u32,
    /// The nodes that did not answer.
    pub silent: Vec<Peer>,
}

impl Core {
    /// Takes this node's lease, so that it is one of the nodes before the first client comes.
    ///
    /// # Errors
    /// [`Unavailable`]: try again. [`Core::tend_nodes`] tries too.
    pub async fn join_nodes(&self) -> Result<(), Unavailable> {
        let change = self.nodes.join().await?;
        self.nodes_changed(&change);
        Ok(())
    }

    /// Keeps this node's lease, knows the other nodes, and answers them, for as long as it is polled.
    pub async fn tend_nodes(&self) {
        let mut next = Instant::now();
        let keeping = async {
            loop {
                let change = self.nodes.step(&mut next).await;
                self.nodes_changed(&change);
                self.tell_rooms(&change).await;
                for who in change.signed_out {
                    self.sign_out_here(who).await;
                }
            }
        };
        let questions = stream::unfold((), |()| async { self.nodes.question().await.map(|asked| (asked, ())) });
        let answering = questions.for_each_concurrent(ANSWERED_AT_ONCE, |asked| self.answer(asked));
        join(keeping, answering).await;
    }

    /// Lets rooms know that the people of some nodes count, or do not count any more.
    async fn tell_rooms(&self, change: &Change) {
        let (came, own) = (!change.came.is_empty(), change.own);
        if !came && !own && change.gone.is_empty() {
            return;
        }
        for (index, room) in self.rooms.all().into_iter().enumerate() {
            if index > 0 && index % ROOMS_AT_ONCE == 0 {
                sleep(ROOMS_PAUSE).await;
            }
            // Past the bound of its mailbox: seldom, and people would seem to be here who are gone.
            room.do_send(NodesChanged { came, own });
        }
    }

    fn nodes_changed(&self, change: &Change) {
        for life in &change.came {
            tracing::info!(node.id = %life.node, "another node is there");
        }
        for life in &change.gone {
            tracing::info!(node.id = %life.node, "another node is gone");
        }
        self.metrics.other_nodes.set(i64::try_from(self.nodes.others().len()).unwrap_or(i64::MAX));
    }

    async fn answer(&self, asked: Asked) {
        let Asked { from, id, request } = asked;
        let reply = match request {
            NodeRequest::Status => NodeReply::Status(self.status()),
            NodeRequest::SignOut(who) => NodeReply::SignedOut { connections: self.sign_out_here(who).await },
            NodeRequest::Places { room, ids } => NodeReply::Places(self.places_here(room, ids).await),
            NodeRequest::Settings => NodeReply::Settings(self.settings.report()),
        };
        self.nodes.answer(from, id, reply).await;
    }

    /// What this node does now.
    pub fn status(&self) -> wire::NodeStatus {
        let count = |gauge: &prometheus_client::metrics::gauge::Gauge| u64::try_from(gauge.get()).unwrap_or(0);
        wire::NodeStatus {
            connections: self.session_count() as u64,
            users: count(&self.metrics.users),
            rooms: count(&self.metrics.rooms),
            archive_lag_ms: self.nodes.archive_lag().map(|lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// Every node that has a lease, and this one, each with what it does now if it answers within `deadline`.
    pub async fn all_nodes(&self, deadline: Duration) -> wire::NodeListOk {
        let others = self.nodes.ask_all(NodeRequest::Status, deadline).await;
        let others = others.into_iter().map(|(peer, reply)| match reply {
            Some(NodeReply::Status(status)) => shown(peer, Some(status)),
            Some(NodeReply::SignedOut { .. } | NodeReply::Places(_) | NodeReply::Settings(_)) | None => {
                shown(peer, None)
            }
        });
        let mut nodes: Vec<_> = others.chain([shown(self.nodes.own(), Some(self.status()))]).collect();
        nodes.sort_unstable_by_key(|node| node.id);
        wire::NodeListOk { nodes }
    }

    /// Which settings hold at every node that has a lease, and at this one; none where it does not answer within
    /// `deadline`. A node whose program is too old to know of settings does not.
    pub async fn settings_of_all_nodes(&self, deadline: Duration) -> Vec<(Peer, Option<SettingsReport>)> {
        let others = self.nodes.ask_all(NodeRequest::Settings, deadline).await;
        let others = others.into_iter().map(|(peer, reply)| match reply {
            Some(NodeReply::Settings(report)) => (peer, Some(report)),
            Some(NodeReply::Status(_) | NodeReply::SignedOut { .. } | NodeReply::Places(_)) | None => (peer, None),
        });
        let mut nodes: Vec<_> = others.chain([(self.nodes.own(), Some(self.settings.report()))]).collect();
        nodes.sort_unstable_by_key(|(peer, _)| peer.life);
        nodes
    }

    /// Tells the other nodes that operators changed settings. A hint: nobody is told who does not hear it now.
    pub async fn tell_settings_changed(&self) {
        if let Err(error) = self.nodes.tell(Packet::SettingsChanged).await {
            tracing::warn!(error = %error, "could not tell other nodes of changed settings: they look by themselves");
        }
    }

    /// Closes the live connections of who signed out, on all nodes. Waits until each node has answered, or has had
    /// its time; who did not answer finds a note of it with the next renewal of its lease.
    pub async fn sign_out(&self, who: SignedOutDevice) -> SignedOut {
        let here = self.sign_out_here(who);
        let elsewhere = self.nodes.ask_all(NodeRequest::SignOut(who), SIGN_OUT_DEADLINE);
        let (connections, answers, ()) = join3(here, elsewhere, self.nodes.note_sign_out(who)).await;
        let mut signed_out = SignedOut { connections, silent: Vec::new() };
        for (peer, reply) in answers {
            match reply {
                Some(NodeReply::SignedOut { connections }) => {
                    signed_out.connections = signed_out.connections.saturating_add(connections);
                }
                Some(NodeReply::Status(_) | NodeReply::Places(_) | NodeReply::Settings(_)) | None => {
                    tracing::warn!(
                        node.id = %peer.life.node,
                        node.address = peer.address,
                        user.id = %who.user,
                        "a node did not answer a sign-out"
                    );
                    signed_out.silent.push(peer);
                }
            }
        }
        signed_out
    }

    /// Where some other nodes saw events of a room first, as far as they answer.
    pub(crate) async fn places_at(&self, nodes: Vec<NodeLife>, room: RoomId, ids: Vec<u64>) -> Vec<(u64, Position)> {
        let answers = self.nodes.ask_some(nodes, NodeRequest::Places { room, ids }, PLACES_DEADLINE).await;
        let answers = answers.unwrap_or_else(|error| {
            tracing::warn!(room.id = %room, error = %error, "could not ask where events stood that were lost");
            Vec::new()
        });
        let places = answers.into_iter().map(|reply| match reply {
            NodeReply::Places(places) => places,
            NodeReply::Status(_) | NodeReply::SignedOut { .. } | NodeReply::Settings(_) => Vec::new(),
        });
        places.flatten().collect()
    }

    /// Where this node saw events of a room first; of a room that nobody receives here nothing.
    async fn places_here(&self, room: RoomId, ids: Vec<u64>) -> Vec<(u64, Position)> {
        let Some(actor) = self.rooms.find(room) else { return Vec::new() };
        // Past the bound of its mailbox: seldom, and it is waited for.
        actor.send(FirstPlaces { ids }).await.unwrap_or_default()
    }

    /// Tells all devices of a user, at all nodes, that their list of rooms changed; a hint.
    pub(crate) fn tell_membership(self: &Arc<Self>, user: UserId, signal: wire::MembershipSignal) {
        self.show_membership(user, signal.clone());
        if self.nodes.others().is_empty() {
            return;
        }
        // The one who asked need not wait for it. As many of these as requests are in the works.
        let core = self.clone();
        tokio::spawn(async move {
            if core.nodes.tell(Packet::Membership { user, signal }).await.is_err() {
                core.metrics.signals_dropped.inc();
            }
        });
    }

    fn show_membership(&self, user: UserId, signal: wire::MembershipSignal) {
        self.users.hint(user, Tell { frames: Frames::of_body(Body::Membership(signal)) });
    }

    /// Closes the connections to this node of who signed out; returns how many. Who is just about to connect, and
    /// was found good before, is refused.
    async fn sign_out_here(&self, who: SignedOutDevice) -> u32 {
        self.authenticator.forget(who);
        self.gone_devices.add(who);
        let Some(user) = self.users.find(who.user) else { return 0 };
        // Past the bound of its mailbox: it must not be lost, and is rare. A user that is gone has no connections.
        user.send(SignOut { device: who.device }).await.unwrap_or(0)
    }
}

impl NodeListener for Core {
    fn heard(&self, from: NodeLife, packet: Packet) {
        match self.nodes.heard(from, packet) {
            Some(Packet::Came) => self.nodes.look_soon(),
            // The lease that it gave back is missed by who keeps ours, which tells the rooms.
            Some(Packet::Left) => self.nodes.left(from),
            Some(Packet::Membership { user, signal }) => self.show_membership(user, signal),
            Some(Packet::SettingsChanged) => self.settings.changed(),
            Some(Packet::Ask { .. } | Packet::Reply { .. }) | None => {}
        }
    }
}

fn shown(peer: Peer, status: Option<wire::NodeStatus>) -> wire::Node {
    let Peer { life, version, address, started_at } = peer;
    wire::Node { id: life.node.get(), version, address, started_at, status }
}
