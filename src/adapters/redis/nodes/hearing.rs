//! The task that keeps the connection on which this node hears the others.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::super::backoff::Backoff;
use super::super::ears::{Ears, Push, Pushes};
use super::super::keys;
use super::{Shared, frame};

/// How often this node says something to itself. What it does not hear by the next time shows that the connection
/// hears nothing any more, though it stands: its channels may have moved to another server of a cluster.
const PROBE_EVERY: Duration = Duration::from_secs(3);

/// Connects, and hears until the connection breaks, for ever.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut backoff = Backoff::default();
    loop {
        match Ears::open(&shared.options).await {
            Ok((ears, pushes)) => {
                shared.metrics.connections.inc();
                hear(&shared, ears, pushes, &mut backoff).await;
                tracing::warn!("the connection on which other nodes ask this one is lost");
            }
            Err(error) => tracing::warn!(error = %error, "could not connect to redis to be asked by other nodes"),
        }
        shared.hears.send_replace(false);
        backoff.wait().await;
    }
}

async fn hear(shared: &Shared, mut ears: Ears, mut pushes: Pushes, backoff: &mut Backoff) {
    let channels = [keys::all_nodes(), keys::node(shared.node)];
    let subscribing = tokio::time::timeout(shared.log.timeout, ears.subscribe(channels.to_vec())).await;
    if !matches!(subscribing, Ok(Ok(()))) {
        return;
    }
    let mut silent: Vec<_> = channels.iter().map(String::as_bytes).collect();
    let mut probing = interval(PROBE_EVERY);
    probing.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unheard = false;
    loop {
        tokio::select! {
            push = pushes.next() => match push {
                Push::Message(_, payload) => unheard &= !shared.hear(&payload),
                Push::Subscribed(channel) => {
                    silent.retain(|silent| *silent != channel);
                    if silent.is_empty() {
                        backoff.reset();
                        shared.hears.send_replace(true);
                    }
                }
                Push::Gone => return,
            },
            _ = probing.tick() => {
                if unheard {
                    return;
                }
                // What could not be said cannot be heard.
                unheard = shared.publish(keys::node(shared.node), frame::probe(shared.node)).await.is_ok();
            }
        }
        if pushes.take_overflow() {
            shared.metrics.overflows.inc();
        }
    }
}
