//! What the core counts. The edge gives the registry and shows it; no label here can grow with rooms or
//! users.

mod stages;
mod traced;

use bobchat_proto::error::ErrorCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

pub use stages::{Asked, Stages};
pub use traced::TracedHistogram;

/// The core's metrics: each is shared by all threads.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Live connections.
    pub sessions: Gauge,
    /// Connected users.
    pub users: Gauge,
    /// Rooms in memory.
    pub rooms: Gauge,
    /// Frames read from clients.
    pub frames_received: Counter,
    /// Frames that were refused by a connection's rate.
    pub frames_limited: Counter,
    /// Messages refused by the rate of their sender.
    pub sends_limited: Counter,
    /// Pages refused by the rate of their reader.
    pub pages_limited: Counter,
    /// Pages of what was missed that waited for the same rate.
    pub pages_delayed: Counter,
    /// Requests refused because too many of the same connection were not answered yet.
    pub requests_crowded: Counter,
    /// Connections refused because their user or address had too many.
    pub connections_refused: Counter,
    requests_failed: Family<Failed, Counter>,
    /// Messages acknowledged.
    pub messages_acknowledged: Counter,
    /// Sends answered from an earlier one with the same key.
    pub messages_repeated: Counter,
    /// Events handed to connections: one for each receiver.
    pub deliveries: Counter,
    /// Connections closed because too many bytes waited for them.
    pub slow_consumers: Counter,
    /// Connections closed because nothing was heard from them.
    pub silent_sessions: Counter,
    /// Signals dropped because the client was behind.
    pub signals_dropped: Counter,
    /// Bytes that wait for clients.
    pub outbound_bytes: Gauge,
    /// Requests refused because a room's queue was full.
    pub room_queue_full: Counter,
    /// Batches that a hub could not take at once, and took later.
    pub hub_queue_full: Counter,
    /// Rooms started again after their actor died.
    pub rooms_recovered: Counter,
    /// Subscriptions that could not be continued.
    pub resets: Counter,
    /// Events that other nodes appended and this one heard of.
    pub events_heard: Counter,
    /// What rooms were told and could not take at once: they look at their logs instead.
    pub heard_late: Counter,
    /// Holes that rooms had filled from their logs.
    pub holes_filled: Counter,
    /// Times that other nodes were told who of a room is here.
    pub presence_told: Counter,
    /// Other nodes that have a lease.
    pub other_nodes: Gauge,
    /// Leases that this node lost.
    pub node_leases_lost: Counter,
    /// Questions that this node asked others.
    pub node_requests: Counter,
    /// Nodes that did not answer in time.
    pub node_requests_unanswered: Counter,
    /// Questions of other nodes that were dropped because too many waited.
    pub node_requests_dropped: Counter,
    /// Answers that nobody waited for any more.
    pub node_answers_late: Counter,
    /// Events appended by one call to the log.
    pub append_events: Histogram,
    /// How long each stage of a message's way takes.
    pub stages: Stages,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failed {
    code: &'static str,
}

impl Metrics {
    /// Makes the metrics and registers them, each with the prefix `bobchat_`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            sessions: Gauge::default(),
            users: Gauge::default(),
            rooms: Gauge::default(),
            frames_received: Counter::default(),
            frames_limited: Counter::default(),
            sends_limited: Counter::default(),
            pages_limited: Counter::default(),
            pages_delayed: Counter::default(),
            requests_crowded: Counter::default(),
            connections_refused: Counter::default(),
            requests_failed: Family::default(),
            messages_acknowledged: Counter::default(),
            messages_repeated: Counter::default(),
            deliveries: Counter::default(),
            slow_consumers: Counter::default(),
            silent_sessions: Counter::default(),
            signals_dropped: Counter::default(),
            outbound_bytes: Gauge::default(),
            room_queue_full: Counter::default(),
            hub_queue_full: Counter::default(),
            rooms_recovered: Counter::default(),
            resets: Counter::default(),
            events_heard: Counter::default(),
            heard_late: Counter::default(),
            holes_filled: Counter::default(),
            presence_told: Counter::default(),
            other_nodes: Gauge::default(),
            node_leases_lost: Counter::default(),
            node_requests: Counter::default(),
            node_requests_unanswered: Counter::default(),
            node_requests_dropped: Counter::default(),
            node_answers_late: Counter::default(),
            append_events: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            stages: Stages::register(registry),
        };
        metrics.register_gauges(registry);
        metrics.register_counters(registry);
        registry.register(
            "bobchat_append_events",
            "Events appended by one call to the log",
            metrics.append_events.clone(),
        );
        // Those that have not happened yet are 0, not absent: else the first of a kind would be no increase.
        for code in ErrorCode::ALL {
            drop(metrics.requests_failed.get_or_create(&Failed { code: code.as_str() }));
        }
        let failed = "Requests of WebSockets answered with an error, by its code";
        registry.register("bobchat_requests_failed", failed, metrics.requests_failed.clone());
        metrics
    }

    /// Counts a request that is answered with an error; `code` as it stands on the wire.
    pub fn failed(&self, code: &str) {
        let code = ErrorCode::parse(code).unwrap_or(ErrorCode::Internal).as_str();
        self.requests_failed.get_or_create(&Failed { code }).inc();
    }

    fn register_gauges(&self, registry: &mut Registry) {
        for (name, help, gauge) in [
            ("bobchat_sessions", "Live connections", &self.sessions),
            ("bobchat_users_connected", "Connected users", &self.users),
            ("bobchat_rooms_active", "Rooms in memory", &self.rooms),
            ("bobchat_outbound_bytes", "Bytes that wait for clients", &self.outbound_bytes),
            ("bobchat_other_nodes", "Other nodes that have a lease", &self.other_nodes),
        ] {
            registry.register(name, help, gauge.clone());
        }
    }

    fn register_counters(&self, registry: &mut Registry) {
        for (name, help, counter) in [
            ("bobchat_frames_received", "Frames read from clients", &self.frames_received),
            ("bobchat_frames_limited", "Frames refused by a connection's rate", &self.frames_limited),
            ("bobchat_sends_limited", "Messages refused by the rate of their sender", &self.sends_limited),
            ("bobchat_pages_limited", "Pages refused by the rate of their reader", &self.pages_limited),
            ("bobchat_pages_delayed", "Pages of what was missed that waited for that rate", &self.pages_delayed),
            ("bobchat_requests_crowded", "Requests refused beside too many unanswered ones", &self.requests_crowded),
            (
                "bobchat_connections_refused",
                "Connections refused: user or address had too many",
                &self.connections_refused,
            ),
            ("bobchat_messages_acknowledged", "Messages acknowledged", &self.messages_acknowledged),
            ("bobchat_messages_repeated", "Sends answered from an earlier one", &self.messages_repeated),
            ("bobchat_deliveries", "Events handed to connections", &self.deliveries),
            ("bobchat_slow_consumers", "Connections closed as slow consumers", &self.slow_consumers),
            ("bobchat_silent_sessions", "Connections closed after two silent heartbeats", &self.silent_sessions),
            (
                "bobchat_signals_dropped",
                "Signals dropped for clients and threads that are behind",
                &self.signals_dropped,
            ),
            ("bobchat_room_queue_full", "Requests refused by a full room", &self.room_queue_full),
            ("bobchat_hub_queue_full", "Batches that a hub took late", &self.hub_queue_full),
            ("bobchat_rooms_recovered", "Rooms started again after their actor died", &self.rooms_recovered),
            ("bobchat_resets", "Subscriptions that could not be continued", &self.resets),
            ("bobchat_events_heard", "Events heard of from other nodes", &self.events_heard),
            ("bobchat_heard_late", "What full rooms were told: they look at their logs instead", &self.heard_late),
            ("bobchat_holes_filled", "Holes filled from the log", &self.holes_filled),
            ("bobchat_presence_told", "Times that nodes were told who of a room is here", &self.presence_told),
            ("bobchat_node_leases_lost", "Leases that this node lost", &self.node_leases_lost),
            ("bobchat_node_requests", "Questions asked of other nodes", &self.node_requests),
            ("bobchat_node_requests_unanswered", "Nodes that did not answer in time", &self.node_requests_unanswered),
            ("bobchat_node_requests_dropped", "Questions of nodes beside too many", &self.node_requests_dropped),
            ("bobchat_node_answers_late", "Answers of nodes that nobody waited for", &self.node_answers_late),
        ] {
            registry.register(name, help, counter.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use tokio::time::Instant;
    use tracing::Span;

    use super::*;

    #[test]
    fn requests_are_told_apart_by_what_they_ask_and_how_they_fail() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        metrics.stages.answered(Asked::Send, Instant::now(), &Span::none());
        metrics.failed("busy");
        metrics.failed("whatever a client could invent");
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "bobchat_request_seconds_count{request=\"send\"} 1",
            "bobchat_requests_failed_total{code=\"busy\"} 1",
            "bobchat_requests_failed_total{code=\"internal\"} 1",
            "bobchat_requests_failed_total{code=\"unknown\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
