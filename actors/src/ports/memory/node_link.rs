use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bobchat_proto::ids::NodeId;
use tokio::time::Instant;

use crate::ports::{Hold, Leased, NodeLife, NodeLink, NodeListener, Packet, Peer, SignedOutDevice, Unavailable};

/// What the nodes of a test share: their leases, and a way to talk that can be cut.
#[derive(Default)]
pub struct MemoryNodes {
    leases: Mutex<BTreeMap<NodeId, (Peer, Instant)>>,
    links: Mutex<Vec<Arc<MemoryNodeLink>>>,
    signed_out: Mutex<Vec<SignedOutDevice>>,
    /// While set, nothing is answered and all that is said is lost.
    pub is_away: AtomicBool,
}

/// One node's end of [`MemoryNodes`].
pub struct MemoryNodeLink {
    nodes: Weak<MemoryNodes>,
    node: NodeId,
    listener: Mutex<Option<Weak<dyn NodeListener>>>,
    /// While set, this node hears nothing.
    pub is_deaf: AtomicBool,
    /// While set, this node reaches nobody.
    pub is_parted: AtomicBool,
}

impl MemoryNodes {
    /// Adds a node.
    pub fn join(self: &Arc<Self>, node: NodeId) -> Arc<MemoryNodeLink> {
        let link = MemoryNodeLink {
            nodes: Arc::downgrade(self),
            node,
            listener: Mutex::new(None),
            is_deaf: AtomicBool::new(false),
            is_parted: AtomicBool::new(false),
        };
        let link = Arc::new(link);
        lock(&self.links).push(link.clone());
        link
    }

    /// Forgets all leases, as a store does that loses its data.
    pub fn forget_leases(&self) {
        lock(&self.leases).clear();
    }

    fn all(&self) -> Vec<Leased> {
        let now = Instant::now();
        let mut leases = lock(&self.leases);
        leases.retain(|_, (_, end)| *end > now);
        let leased = leases.values().map(|(peer, end)| Leased { peer: peer.clone(), remaining: *end - now });
        leased.collect()
    }
}

impl MemoryNodeLink {
    /// Says who takes what this node hears.
    pub fn listen(&self, listener: Weak<dyn NodeListener>) {
        *lock(&self.listener) = Some(listener);
    }

    /// Lets this node hear something.
    pub fn hear(&self, from: NodeLife, packet: Packet) {
        let listener = lock(&self.listener).as_ref().and_then(Weak::upgrade);
        if let Some(listener) = listener.filter(|_| !self.is_deaf.load(Ordering::Relaxed)) {
            listener.heard(from, packet);
        }
    }

    fn nodes(&self) -> Result<Arc<MemoryNodes>, Unavailable> {
        let is_parted = self.is_parted.load(Ordering::Relaxed);
        let nodes = self.nodes.upgrade().filter(|nodes| !is_parted && !nodes.is_away.load(Ordering::Relaxed));
        nodes.ok_or_else(|| Unavailable::new("the test is over, or the nodes are parted"))
    }
}

#[async_trait]
impl NodeLink for MemoryNodeLink {
    async fn hold(&self, peer: &Peer, lasting: Duration, renewing: bool) -> Result<Hold, Unavailable> {
        let nodes = self.nodes()?;
        let all = nodes.all();
        match all.iter().find(|leased| leased.peer.life.node == peer.life.node) {
            Some(leased) if leased.peer.life != peer.life => return Ok(Hold::Taken),
            None if renewing => return Ok(Hold::Lost),
            _ => {}
        }
        lock(&nodes.leases).insert(peer.life.node, (peer.clone(), Instant::now() + lasting));
        Ok(Hold::Held(nodes.all()))
    }

    async fn leases(&self) -> Result<Vec<Leased>, Unavailable> {
        Ok(self.nodes()?.all())
    }

    async fn let_go(&self, life: NodeLife) -> Result<(), Unavailable> {
        let nodes = self.nodes()?;
        lock(&nodes.leases).retain(|_, (peer, _)| peer.life != life);
        Ok(())
    }

    async fn send(&self, from: NodeLife, to: Option<NodeId>, packet: Packet) -> Result<(), Unavailable> {
        let others = lock(&self.nodes()?.links).clone();
        let others = others.iter().filter(|link| link.node != self.node && to.is_none_or(|to| to == link.node));
        others.for_each(|link| link.hear(from, packet.clone()));
        Ok(())
    }

    async fn note_sign_out(&self, who: SignedOutDevice) -> Result<(), Unavailable> {
        lock(&self.nodes()?.signed_out).push(who);
        Ok(())
    }

    async fn signed_out_since(&self, mark: Option<u64>) -> Result<(Vec<SignedOutDevice>, u64), Unavailable> {
        let noted = lock(&self.nodes()?.signed_out).clone();
        let known = mark.map_or(noted.len(), |mark| usize::try_from(mark).unwrap_or(usize::MAX));
        Ok((noted.iter().skip(known).copied().collect(), noted.len() as u64))
    }
}

/// A panic under a lock is a failed assertion of a test that shows itself anyway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
