//! How long each stage of a message's way takes, from the connection it comes by to the connections it goes to.
//!
//! A stage is observed once for what is done together (a read, a batch, a batch's part of one thread), never once for
//! each receiver: that would cost more than the delivery.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tokio::time::Instant;
use tracing::Span;

use super::TracedHistogram;

/// What a client asked for, as far as it is told apart when time is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A message.
    Send,
    /// A page of history, rooms or people.
    Page,
    /// Anything else that a room or a store has to answer.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    request: &'static str,
}

impl Asked {
    const fn label(self) -> Request {
        let request = match self {
            Self::Send => "send",
            Self::Page => "page",
            Self::Other => "other",
        };
        Request { request }
    }
}

/// The stages; each is shared by all threads.
#[derive(Debug, Clone)]
pub struct Stages {
    /// Accept: from the request for a WebSocket to its session.
    pub accept: Histogram,
    /// From a token to the answer that signs the connection in.
    pub sign_in: Histogram,
    /// Decode: taking in what one read brought.
    pub decode: Histogram,
    /// Append: from handing a batch to the log to its answer.
    pub append: TracedHistogram,
    /// Publish: from the append at another node to hearing of it, by the clocks of both.
    pub publish: TracedHistogram,
    /// Apply: folding a batch into a room.
    pub apply: TracedHistogram,
    /// Write: from the fan-out of a batch until all subscribers of one thread were written to.
    pub write: TracedHistogram,
    requests: Family<Request, TracedHistogram, fn() -> TracedHistogram>,
    /// How late a worker's thread comes to what is due.
    pub worker_delay: Histogram,
}

impl Stages {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let stages = Self {
            // From 0.5 ms to 2 s: a token is judged, and whoever is not signed in waits for a turn.
            accept: Histogram::new(exponential_buckets(0.000_5, 2.0, 13)),
            // From 0.5 ms to 8 s: reads the list of rooms, and what was missed.
            sign_in: Histogram::new(exponential_buckets(0.000_5, 4.0, 8)),
            // From 1 µs, a frame, to 16 ms, as much as a worker should not be busy with.
            decode: Histogram::new(exponential_buckets(0.000_001, 4.0, 8)),
            append: TracedHistogram::new(exponential_buckets(0.000_1, 2.0, 16)),
            publish: TracedHistogram::new(exponential_buckets(0.000_25, 2.0, 14)),
            apply: TracedHistogram::new(exponential_buckets(0.000_001, 4.0, 8)),
            // From 4 µs, one receiver, to 1 s: a hundred thousand of them.
            write: TracedHistogram::new(exponential_buckets(0.000_004, 4.0, 10)),
            // From 0.5 ms to 16 s, beyond the deadline of a request.
            requests: Family::new_with_constructor(|| TracedHistogram::new(exponential_buckets(0.000_5, 2.0, 16))),
            // From 1 ms, which is how finely time is kept, to 2 s.
            worker_delay: Histogram::new(exponential_buckets(0.001, 2.0, 12)),
        };
        for (name, help, histogram) in [
            ("bobchat_accept_seconds", "Time from a WebSocket's request to its session", &stages.accept),
            ("bobchat_sign_in_seconds", "Time from a token to the answer that signs in", &stages.sign_in),
            ("bobchat_decode_seconds", "Time to take in what one read brought", &stages.decode),
            ("bobchat_worker_delay_seconds", "How late a worker comes to what is due", &stages.worker_delay),
        ] {
            registry.register(name, help, histogram.clone());
        }
        for (name, help, histogram) in [
            ("bobchat_append_seconds", "Time until the log answers", &stages.append),
            ("bobchat_publish_seconds", "Time from an append elsewhere to hearing of it", &stages.publish),
            ("bobchat_apply_seconds", "Time to fold a batch into a room", &stages.apply),
            ("bobchat_write_seconds", "Time to write a batch to a thread's subscribers", &stages.write),
        ] {
            registry.register(name, help, histogram.clone());
        }
        let requests = "Time to answer a request of a WebSocket; that of a page once the client has room for it";
        registry.register("bobchat_request_seconds", requests, stages.requests.clone());
        stages
    }

    /// Counts an answered request.
    pub fn answered(&self, request: Asked, begun_at: Instant, span: &Span) {
        self.requests.get_or_create(&request.label()).observe(begun_at.elapsed().as_secs_f64(), span);
    }
}
