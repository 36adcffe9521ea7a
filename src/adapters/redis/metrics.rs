use std::borrow::Cow;
use std::time::Duration;

use bobchat_actors::ports::{LiveAppended, LiveRefusal, Outcome};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use redis::{Arg, Cmd};

use super::error::CallError;

/// What is counted of Redis, by nodes that use it. Not registered, it is counted and seen by nobody.
#[derive(Debug, Clone)]
pub struct RedisMetrics {
    call_seconds: Family<Operation, Histogram>,
    call_errors: Family<Kind, Counter>,
    pub(super) retries: Counter,
    pub(super) connections: Counter,
    up: Gauge,
    appends: Family<Came, Counter>,
    events: Family<Came, Counter>,
    epochs_fenced: Family<Came, Counter>,
    epochs_opened: Family<Came, Counter>,
}

/// The name of a script or a command: what the code has, and no more.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: Cow<'static, str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: Cow<'static, str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Came {
    outcome: &'static str,
}

impl Default for RedisMetrics {
    fn default() -> Self {
        Self {
            // From 100 µs, a script on a server nearby, to 3 s, beyond every deadline of a call but a fence's.
            call_seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_1, 2.0, 16))),
            call_errors: Family::default(),
            retries: Counter::default(),
            connections: Counter::default(),
            up: Gauge::default(),
            appends: Family::default(),
            events: Family::default(),
            epochs_fenced: Family::default(),
            epochs_opened: Family::default(),
        }
    }
}

impl RedisMetrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        // Those that no Redis chooses are 0 from the start, not absent: else the first would be no increase.
        for kind in ["not_sent", "no_answer"] {
            drop(metrics.call_errors.get_or_create(&Kind { kind: kind.into() }));
        }
        let round_trips = "Time until Redis answers, by script and command";
        registry.register("bobchat_redis_call_seconds", round_trips, metrics.call_seconds.clone());
        let errors = "Calls of Redis that failed: not sent, not answered, or refused with this code";
        registry.register("bobchat_redis_call_errors", errors, metrics.call_errors.clone());
        let retries = "Calls sent again because a slot had moved or had no primary";
        registry.register("bobchat_redis_retries", retries, metrics.retries.clone());
        registry.register("bobchat_redis_connections", "Connections made to Redis", metrics.connections.clone());
        registry.register("bobchat_redis_up", "Whether Redis answered the last call", metrics.up.clone());
        registry.register("bobchat_redis_appends", "Batches by what the log said", metrics.appends.clone());
        registry.register("bobchat_redis_events", "Events of batches that the log took", metrics.events.clone());
        registry.register("bobchat_redis_epochs_fenced", "Logs fenced for an epoch", metrics.epochs_fenced.clone());
        registry.register("bobchat_redis_epochs_opened", "Logs opened under an epoch", metrics.epochs_opened.clone());
        metrics
    }

    /// Notes a call that has ended.
    pub(super) fn observe(&self, operation: Cow<'static, str>, taken: Duration, error: Option<&CallError>) {
        self.call_seconds.get_or_create(&Operation { operation }).observe(taken.as_secs_f64());
        let kind = match error {
            None => None,
            Some(CallError::NotSent(_)) => Some("not_sent".into()),
            Some(CallError::NoAnswer(_)) => Some("no_answer".into()),
            // One of a few: others are no refusals.
            Some(CallError::Refused { code, .. }) => Some(code.to_ascii_lowercase().into()),
        };
        if let Some(kind) = kind {
            self.call_errors.get_or_create(&Kind { kind }).inc();
        }
        let answered = matches!(error, None | Some(CallError::Refused { .. }));
        self.up.set(answered.into());
    }

    pub(super) fn appended(&self, appended: &Result<LiveAppended, LiveRefusal>) {
        self.appends.get_or_create(&Came { outcome: outcome_of(appended) }).inc();
        for outcome in appended.iter().flat_map(|appended| &appended.outcomes) {
            let outcome = match outcome {
                Outcome::Appended(_) => "appended",
                Outcome::Repeated(_) => "repeated",
                Outcome::Conflict => "conflict",
            };
            self.events.get_or_create(&Came { outcome }).inc();
        }
    }

    pub(super) fn fenced(&self, outcome: &'static str) {
        self.epochs_fenced.get_or_create(&Came { outcome }).inc();
    }

    pub(super) fn opened(&self, outcome: &'static str) {
        self.epochs_opened.get_or_create(&Came { outcome }).inc();
    }
}

fn outcome_of(appended: &Result<LiveAppended, LiveRefusal>) -> &'static str {
    match appended {
        Ok(_) => "taken",
        Err(LiveRefusal::Cold) => "cold",
        Err(LiveRefusal::NewerEpoch(_)) => "epoch",
        Err(LiveRefusal::Stale) => "stale",
        Err(LiveRefusal::Closed) => "closed",
        Err(LiveRefusal::Opening) => "opening",
        Err(LiveRefusal::Behind) => "behind",
        Err(LiveRefusal::Expired) => "expired",
        Err(LiveRefusal::Full { .. }) => "full",
        Err(LiveRefusal::Unknown(_)) => "unknown",
    }
}

/// What a command is called.
pub(super) fn name_of(command: &Cmd) -> Cow<'static, str> {
    match command.args_iter().next() {
        Some(Arg::Simple(name)) => String::from_utf8_lossy(name).to_ascii_lowercase().into(),
        _ => "unknown".into(),
    }
}
