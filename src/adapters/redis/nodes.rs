//! How nodes know of each other through Redis: one lease a node, and pub/sub to ask one another.
//!
//! Leases stand in one slot and end by the server's clock: one script renews the own one and tells all others, so
//! an idle node costs Redis the same few commands, however many clients it has. What is asked goes over a
//! connection of its own: it must not wait behind the frames of rooms, nor be lost with them when Redis cuts a
//! connection that is behind.

mod frame;
mod hearing;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bobchat_actors::ports::{
    Hold, Leased, NodeLife, NodeLink, NodeListener, Packet, Peer, SignedOutDevice, Unavailable,
};
use bobchat_proto::ids::{DeviceId, NodeId};
use bobchat_proto::node::Lease;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use prost::Message as _;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::error::CallError;
use super::reply::Reply;
use super::script::Call;
use super::{RedisLog, RedisOptions, keys};
use frame::{Heard, Refusal};

/// How long a sign-out is noted: longer than access tokens live, with which connections end by themselves.
const NOTED_FOR: Duration = Duration::from_secs(60 * 60);

/// Notes that are read at once; the others come with the next reading.
const NOTES_MAX: usize = 1000;

/// What is counted of what nodes ask one another.
#[derive(Debug, Clone, Default)]
pub struct NodesMetrics {
    /// Frames of other nodes that were taken.
    pub frames: Counter,
    /// Frames that were thrown away: too large, or broken.
    pub refused: Counter,
    /// Frames that were thrown away because their node has another version.
    pub other_version: Counter,
    /// Times that more was pushed than could be looked at.
    pub overflows: Counter,
    /// Connections that were made.
    pub connections: Counter,
}

impl NodesMetrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for (name, help, counter) in [
            ("bobchat_node_frames", "What other nodes asked and said", &metrics.frames),
            ("bobchat_node_frames_refused", "What was thrown away: large or broken", &metrics.refused),
            ("bobchat_node_frames_other_version", "What nodes of another version said", &metrics.other_version),
            ("bobchat_node_overflows", "Times that nodes said more than was looked at", &metrics.overflows),
            ("bobchat_node_connections", "Connections made to be asked by nodes", &metrics.connections),
        ] {
            registry.register(name, help, counter.clone());
        }
        metrics
    }
}

/// A node's link to the others on Redis.
pub struct RedisNodes {
    shared: Arc<Shared>,
    hearing: AbortHandle,
}

struct Shared {
    log: Arc<RedisLog>,
    options: RedisOptions,
    node: NodeId,
    listener: Mutex<Option<Weak<dyn NodeListener>>>,
    /// Whether this node can be asked now.
    hears: watch::Sender<bool>,
    metrics: NodesMetrics,
}

impl RedisNodes {
    /// Hears what nodes say to this one, over the Redis of `log`, which was connected with the same options. Starts
    /// a task on the present runtime that ends with this.
    #[must_use]
    pub fn start(options: &RedisOptions, node: NodeId, log: Arc<RedisLog>, metrics: NodesMetrics) -> Arc<Self> {
        let shared = Arc::new(Shared {
            log,
            options: options.clone(),
            node,
            listener: Mutex::new(None),
            hears: watch::Sender::new(false),
            metrics,
        });
        let hearing = tokio::spawn(hearing::run(shared.clone())).abort_handle();
        Arc::new(Self { shared, hearing })
    }

    /// Says who takes what is heard.
    pub fn listen(&self, listener: Weak<dyn NodeListener>) {
        *self.shared.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
    }

    /// Waits until this node hears the others.
    ///
    /// # Errors
    /// [`Unavailable`]: not within the time of a command.
    pub async fn hears(&self) -> Result<(), Unavailable> {
        let mut hears = self.shared.hears.subscribe();
        let hearing = hears.wait_for(|hears| *hears);
        match tokio::time::timeout(self.shared.log.timeout, hearing).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Unavailable::new("redis does not let this node hear the others")),
        }
    }
}

impl Drop for RedisNodes {
    fn drop(&mut self) {
        self.hearing.abort();
    }
}

impl Shared {
    /// Takes what was published; whether it was this node's own probe.
    fn hear(&self, payload: &[u8]) -> bool {
        match frame::read(self.node, payload) {
            Ok(Heard::Probe) => return true,
            Ok(Heard::Own) => {}
            Ok(Heard::Packet(from, packet)) => {
                self.metrics.frames.inc();
                let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some(listener) = listener.as_ref().and_then(Weak::upgrade) {
                    listener.heard(from, packet);
                }
            }
            Err(refusal) => {
                let counter = match refusal {
                    Refusal::OtherVersion => &self.metrics.other_version,
                    Refusal::TooLarge | Refusal::Broken => &self.metrics.refused,
                };
                counter.inc();
                tracing::warn!(reason = ?refusal, bytes = payload.len(), "what a node said was thrown away");
            }
        }
        false
    }

    async fn publish(&self, channel: String, frame: Vec<u8>) -> Result<(), CallError> {
        let mut publish = redis::cmd(self.log.link.publish_command());
        publish.arg(channel).arg(frame);
        self.log.link.call(&publish, self.log.timeout).await.map(drop)
    }

    async fn lease(&self, call: Call) -> Result<Reply, CallError> {
        Reply::new(self.log.scripts.lease.run(&self.log.link, &call, self.log.timeout).await?)
    }
}

#[async_trait]
impl NodeLink for RedisNodes {
    /// A lease says that a node can be asked: it is not taken before this one hears.
    async fn hold(&self, peer: &Peer, lasting: Duration, renewing: bool) -> Result<Hold, Unavailable> {
        if !renewing {
            self.hears().await?;
        }
        let Peer { life: NodeLife { node, life }, version, address, started_at } = peer.clone();
        let says = Lease { version, address, started_at }.encode_to_vec();
        let mut call = Call::new(keys::leases()).with(node).with(life);
        call.push(says);
        let call = call.with(lasting.as_millis()).with(u8::from(renewing));
        let reply = self.shared.lease(call).await?;
        match reply.word.as_str() {
            "HELD" => Ok(Hold::Held(read_leases(reply)?)),
            "LOST" => Ok(Hold::Lost),
            "TAKEN" => Ok(Hold::Taken),
            other => Err(Unavailable::new(format!("{other:?} to a lease"))),
        }
    }

    async fn leases(&self) -> Result<Vec<Leased>, Unavailable> {
        let reply = self.shared.lease(Call::new(keys::leases()).with("")).await?;
        Ok(read_leases(reply)?)
    }

    async fn let_go(&self, life: NodeLife) -> Result<(), Unavailable> {
        let call = Call::new(keys::leases()).with(life.node).with(life.life);
        let log = &self.shared.log;
        log.scripts.let_go.run(&log.link, &call, log.timeout).await?;
        Ok(())
    }

    async fn send(&self, from: NodeLife, to: Option<NodeId>, packet: Packet) -> Result<(), Unavailable> {
        let channel = to.map_or_else(keys::all_nodes, keys::node);
        Ok(self.shared.publish(channel, frame::write(from, to, packet)).await?)
    }

    async fn note_sign_out(&self, who: SignedOutDevice) -> Result<(), Unavailable> {
        let who = format!("{}:{}", who.user, who.device.map_or(0, DeviceId::get));
        let call = Call::new([keys::signed_out()]).with(who).with(NOTED_FOR.as_micros());
        let log = &self.shared.log;
        log.scripts.note.run(&log.link, &call, log.timeout).await?;
        Ok(())
    }

    async fn signed_out_since(&self, mark: Option<u64>) -> Result<(Vec<SignedOutDevice>, u64), Unavailable> {
        let mut command = redis::cmd("ZRANGE");
        command.arg(keys::signed_out());
        match mark {
            None => command.arg(-1).arg(-1),
            Some(mark) => command.arg(format!("({mark}")).arg("+inf").arg("BYSCORE").arg("LIMIT").arg(0).arg(NOTES_MAX),
        };
        command.arg("WITHSCORES");
        let answer = self.shared.log.link.call(&command, self.shared.log.timeout).await?;
        let rows: Vec<(String, u64)> = redis::from_redis_value(answer).map_err(CallError::nonsense)?;
        let newest = rows.last().map_or(mark.unwrap_or(0), |(_, at)| *at);
        let noted = rows.iter().filter(|_| mark.is_some()).filter_map(|(who, _)| read_note(who));
        Ok((noted.collect(), newest))
    }
}

fn read_note(who: &str) -> Option<SignedOutDevice> {
    let (user, device) = who.split_once(':')?;
    Some(SignedOutDevice { user: user.parse().ok()?, device: device.parse().ok() })
}

/// The leases behind the first word, in the order of their nodes.
fn read_leases(mut reply: Reply) -> Result<Vec<Leased>, CallError> {
    let mut leases = Vec::new();
    while let Some(node) = reply.bytes()? {
        let node = std::str::from_utf8(&node).ok().and_then(|node| node.parse().ok());
        let (life, remains): (u64, u64) = (reply.number()?, reply.number()?);
        let lease = Lease::decode(reply.bytes()?.unwrap_or_default().as_slice()).map_err(CallError::nonsense)?;
        let Some(node) = node else { continue };
        let life = NodeLife { node, life };
        let Lease { version, address, started_at } = lease;
        let peer = Peer { life, version, address, started_at };
        leases.push(Leased { peer, remaining: Duration::from_millis(remains) });
    }
    leases.sort_unstable_by_key(|leased| leased.peer.life);
    Ok(leases)
}
