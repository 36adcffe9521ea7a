use std::fmt::Debug;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::check::Kind;

/// What is counted as a broken promise. A connection that ends or a request that is refused breaks none: a node may die.
const PROMISES: [Kind; 9] = [
    Kind::Loss,
    Kind::Double,
    Kind::Order,
    Kind::Disagreement,
    Kind::Text,
    Kind::Numbers,
    Kind::Ack,
    Kind::Reset,
    Kind::Protocol,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Node {
    target: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    target: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Way {
    from: String,
    to: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WayOutcome {
    from: String,
    to: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Promise {
    promise: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SetUp {
    outcome: &'static str,
}

type Times<L> = Family<L, Histogram, fn() -> Histogram>;

/// What the canary tells. Labels are its targets, of which there are at most eight.
#[derive(Debug)]
pub(super) struct CanaryMetrics {
    registry: Registry,
    connected: Family<Node, Gauge>,
    sends: Family<Outcome, Counter>,
    ack_seconds: Times<Node>,
    deliveries: Family<WayOutcome, Counter>,
    delivery_seconds: Times<Way>,
    reconnects: Family<Outcome, Counter>,
    reconnect_seconds: Times<Node>,
    history_reads: Family<Outcome, Counter>,
    history_seconds: Times<Node>,
    broken_promises: Family<Promise, Counter>,
    set_ups: Family<SetUp, Counter>,
}

/// From 0.5 ms to 16 s: a message between two threads, and one that waits for a node that comes back.
fn latency() -> Histogram {
    Histogram::new(exponential_buckets(0.000_5, 2.0, 16))
}

/// From 5 ms to 82 s: another node at once, and a fail-over of everything.
fn reconnect() -> Histogram {
    Histogram::new(exponential_buckets(0.005, 2.0, 15))
}

impl CanaryMetrics {
    pub(super) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            connected: Family::default(),
            sends: Family::default(),
            ack_seconds: Family::new_with_constructor(latency),
            deliveries: Family::default(),
            delivery_seconds: Family::new_with_constructor(latency),
            reconnects: Family::default(),
            reconnect_seconds: Family::new_with_constructor(reconnect),
            history_reads: Family::default(),
            history_seconds: Family::new_with_constructor(latency),
            broken_promises: Family::default(),
            set_ups: Family::default(),
        };
        // 0 until they happen, not absent: else the first would be no increase.
        for kind in PROMISES {
            drop(metrics.broken_promises.get_or_create(&Promise { promise: kind.name() }));
        }
        for outcome in ["done", "failed"] {
            drop(metrics.set_ups.get_or_create(&SetUp { outcome }));
        }
        let registry = metrics.registry.sub_registry_with_prefix("bobchat_canary");
        registry.register("connected", "People of the canary who are signed in", metrics.connected.clone());
        registry.register("sends", "Messages by what the node said", metrics.sends.clone());
        registry.register("ack_seconds", "Time from sending to the ack", metrics.ack_seconds.clone());
        registry.register("deliveries", "Messages by whether the other one got them", metrics.deliveries.clone());
        let delivery = "Time from sending to the other one's having it";
        registry.register("delivery_seconds", delivery, metrics.delivery_seconds.clone());
        registry.register("reconnects", "Attempts to connect", metrics.reconnects.clone());
        registry.register("reconnect_seconds", "Time without a connection", metrics.reconnect_seconds.clone());
        let reads = "Newest pages by whether what was said last stood there";
        registry.register("history_reads", reads, metrics.history_reads.clone());
        registry.register("history_seconds", "Time to read the newest page", metrics.history_seconds.clone());
        registry.register("broken_promises", "Broken promises, by what was broken", metrics.broken_promises.clone());
        registry.register("set_ups", "Times that users and rooms were made", metrics.set_ups.clone());
        metrics
    }

    /// All of it, as a scrape expects it.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to memory does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Makes what is told of a way 0, so that it is there before anything happens.
    pub(super) fn expect(&self, from: &str, to: &str) {
        self.come(from, 0);
        for outcome in ["acked", "refused", "repeated", "skipped"] {
            drop(self.sends.get_or_create(&Outcome { target: from.to_owned(), outcome }));
        }
        for outcome in ["done", "failed"] {
            drop(self.reconnects.get_or_create(&Outcome { target: from.to_owned(), outcome }));
        }
        for outcome in ["found", "missing"] {
            drop(self.history_reads.get_or_create(&Outcome { target: from.to_owned(), outcome }));
        }
        for outcome in ["in_time", "late", "never"] {
            drop(self.deliveries.get_or_create(&WayOutcome { from: from.to_owned(), to: to.to_owned(), outcome }));
        }
    }

    /// Somebody came (1) to a node or left it (-1).
    pub(super) fn come(&self, target: &str, change: i64) {
        self.connected.get_or_create(&Node { target: target.to_owned() }).inc_by(change);
    }

    pub(super) fn sent(&self, target: &str, outcome: &'static str) {
        self.sends.get_or_create(&Outcome { target: target.to_owned(), outcome }).inc();
    }

    pub(super) fn acked(&self, target: &str, taken: Duration) {
        self.sent(target, "acked");
        self.ack_seconds.get_or_create(&Node { target: target.to_owned() }).observe(taken.as_secs_f64());
    }

    /// A message that the other one has not got in time, or never got.
    pub(super) fn undelivered(&self, from: &str, to: &str, outcome: &'static str) {
        self.deliveries.get_or_create(&WayOutcome { from: from.to_owned(), to: to.to_owned(), outcome }).inc();
    }

    /// One that they got: late ones were counted when they became late.
    pub(super) fn delivered(&self, from: &str, to: &str, taken: Duration, in_time: bool) {
        if in_time {
            self.undelivered(from, to, "in_time");
        }
        let way = Way { from: from.to_owned(), to: to.to_owned() };
        self.delivery_seconds.get_or_create(&way).observe(taken.as_secs_f64());
    }

    pub(super) fn reconnected(&self, target: &str, without: Duration) {
        self.reconnects.get_or_create(&Outcome { target: target.to_owned(), outcome: "done" }).inc();
        self.reconnect_seconds.get_or_create(&Node { target: target.to_owned() }).observe(without.as_secs_f64());
    }

    pub(super) fn not_connected(&self, target: &str) {
        self.reconnects.get_or_create(&Outcome { target: target.to_owned(), outcome: "failed" }).inc();
    }

    pub(super) fn read(&self, target: &str, is_found: bool, taken: Duration) {
        let outcome = if is_found { "found" } else { "missing" };
        self.history_reads.get_or_create(&Outcome { target: target.to_owned(), outcome }).inc();
        self.history_seconds.get_or_create(&Node { target: target.to_owned() }).observe(taken.as_secs_f64());
    }

    /// Counts what went wrong, where it is a promise.
    pub(super) fn broken(&self, kind: Kind, count: u64) {
        if PROMISES.contains(&kind) {
            self.broken_promises.get_or_create(&Promise { promise: kind.name() }).inc_by(count);
        }
    }

    pub(super) fn set_up(&self, outcome: &'static str) {
        self.set_ups.get_or_create(&SetUp { outcome }).inc();
    }
}

/// Whether it is one of those that are told.
pub(super) fn is_promise(kind: Kind) -> bool {
    PROMISES.contains(&kind)
}
