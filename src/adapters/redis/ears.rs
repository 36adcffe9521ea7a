//! A connection that hears what is published.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, IntoConnectionInfo as _, ProtocolVersion, PushInfo, PushKind, RedisResult, Value};
use tokio::sync::mpsc;

use super::check::CheckError;
use super::connection::{Servers, no_answer_within, tcp_settings};
use super::{RedisOptions, cluster, tls};

/// Pushed messages that wait to be looked at. Looking is quick; when it is not, the rooms look at their logs.
const WAITING_MAX: usize = 16 * 1024;

/// Something that Redis pushed.
#[derive(Debug)]
pub(super) enum Push {
    /// A message: channel and payload.
    Message(Vec<u8>, Vec<u8>),
    /// From here on messages of this channel are heard.
    Subscribed(Vec<u8>),
    /// The connection ended: what was published since then is lost.
    Gone,
}

/// What came in, in order.
pub(super) struct Pushes {
    receiver: mpsc::Receiver<Push>,
    overflowed: Arc<AtomicBool>,
}

impl Pushes {
    /// The next push.
    pub(super) async fn next(&mut self) -> Push {
        self.receiver.recv().await.unwrap_or(Push::Gone)
    }

    /// Whether pushes were thrown away since this was last asked.
    pub(super) fn take_overflow(&self) -> bool {
        self.overflowed.swap(false, Ordering::Relaxed)
    }
}

/// The connection: to one server or to every primary of a cluster, where channels live in the shard of their name
/// (log protocol, rule 30).
pub(super) enum Ears {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Ears {
    /// Connects.
    pub(super) async fn open(options: &RedisOptions) -> Result<(Self, Pushes), CheckError> {
        let timeout = options.timeout;
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let overflowed = Arc::new(AtomicBool::new(false));
        let pushes = Pushes { receiver, overflowed: overflowed.clone() };
        let push = move |info: PushInfo| {
            if let Some(push) = read(info)
                && sender.try_send(push).is_err()
            {
                overflowed.store(true, Ordering::Relaxed);
            }
            Ok::<(), redis::aio::SendError>(())
        };
        let opened = tokio::time::timeout(timeout, Self::connect(options, push)).await;
        let ears = opened.map_err(|_| CheckError::unreachable(no_answer_within(timeout)))??;
        Ok((ears, pushes))
    }

    async fn connect(
        options: &RedisOptions,
        push: impl Fn(PushInfo) -> Result<(), redis::aio::SendError> + Send + Sync + 'static,
    ) -> Result<Self, CheckError> {
        let timeout = options.timeout;
        match &options.servers {
            Servers::One(url) => {
                let info = url.as_str().into_connection_info()?.set_tcp_settings(tcp_settings(timeout));
                let resp3 = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
                let client = tls::client(info.set_redis_settings(resp3), options)?;
                let config = AsyncConnectionConfig::new().set_push_sender(push).set_connection_timeout(Some(timeout));
                Ok(Self::One(client.get_multiplexed_async_connection_with_config(&config).await?))
            }
            Servers::Cluster(urls) => {
                let builder = cluster::builder(urls, options)?;
                let client = builder.use_protocol(ProtocolVersion::RESP3).push_sender(push).build()?;
                Ok(Self::Cluster(client.get_async_connection().await?))
            }
        }
    }

    /// Asks to hear channels of one shard. [`Push::Subscribed`] says from when on each is heard.
    pub(super) async fn subscribe(&mut self, channels: Vec<String>) -> RedisResult<()> {
        match self {
            Self::One(connection) => connection.subscribe(channels).await,
            Self::Cluster(connection) => connection.ssubscribe(channels).await,
        }
    }

    /// Asks to hear channels of one shard no more.
    pub(super) async fn unsubscribe(&mut self, channels: Vec<String>) -> RedisResult<()> {
        match self {
            Self::One(connection) => connection.unsubscribe(channels).await,
            Self::Cluster(connection) => connection.sunsubscribe(channels).await,
        }
    }
}

/// What of a push matters here.
fn read(info: PushInfo) -> Option<Push> {
    let mut data = info.data.into_iter().map(|value| match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    });
    match info.kind {
        PushKind::Message | PushKind::SMessage => Some(Push::Message(data.next()??, data.next()??)),
        PushKind::Subscribe | PushKind::SSubscribe => Some(Push::Subscribed(data.next()??)),
        PushKind::Disconnection => Some(Push::Gone),
        _ => None,
    }
}
