use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use scylla::errors::{
    DbError, ExecutionError, NextPageError, PagerExecutionError, RequestAttemptError, RequestError, WriteType,
};

/// What is counted of Cassandra, by nodes that use it. Not registered, it is counted and seen by nobody.
#[derive(Debug, Clone)]
pub struct CassandraMetrics {
    request_seconds: Family<Asked, Histogram>,
    request_errors: Family<Failed, Counter>,
    compare_and_sets: Family<Compared, Counter>,
}

/// The statements of one table that do the same: as many as the code has, and no more.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    table: String,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failed {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Compared {
    table: String,
    outcome: &'static str,
}

/// From 0.5 ms, a read from memory nearby, to 10 s, beyond the deadline of a request. Few, for there is one of each for
/// every table and kind.
const BUCKETS: [f64; 12] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

impl Default for CassandraMetrics {
    fn default() -> Self {
        Self {
            request_seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            request_errors: Family::default(),
            compare_and_sets: Family::default(),
        }
    }
}

impl CassandraMetrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        // Not absent until they happen: else the first of a kind would be no increase.
        for kind in ["no_answer", "no_connection", "read_timeout", "write_timeout", "other"] {
            drop(metrics.request_errors.get_or_create(&Failed { kind }));
        }
        let seconds = "Time until Cassandra answers, tries at other nodes included";
        registry.register("bobchat_cassandra_request_seconds", seconds, metrics.request_seconds.clone());
        let errors = "Requests that Cassandra did not answer well";
        registry.register("bobchat_cassandra_request_errors", errors, metrics.request_errors.clone());
        let sets = "Compare-and-sets that were done, or refused because something else stood there";
        registry.register("bobchat_cassandra_compare_and_sets", sets, metrics.compare_and_sets.clone());
        metrics
    }

    /// Waits for a request and notes how long it took and what became of it.
    pub(super) async fn measure<T, E: Kind>(
        &self,
        cql: &str,
        request: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let started = Instant::now();
        let answer = request.await;
        let (table, kind) = describe(cql);
        let asked = Asked { table: table.to_owned(), kind };
        self.request_seconds.get_or_create(&asked).observe(started.elapsed().as_secs_f64());
        if let Err(error) = &answer {
            self.request_errors.get_or_create(&Failed { kind: error.kind() }).inc();
        }
        answer
    }

    /// Notes what a compare-and-set said. Many that are refused are nodes in each other's way.
    pub(super) fn compared(&self, cql: &str, is_done: bool) {
        let (table, _) = describe(cql);
        let outcome = if is_done { "done" } else { "refused" };
        self.compare_and_sets.get_or_create(&Compared { table: table.to_owned(), outcome }).inc();
    }
}

/// The table of a statement of ours, which may name its keyspace too, and what it does there.
fn describe(cql: &str) -> (&str, &'static str) {
    let mut words = cql.split_ascii_whitespace();
    let verb = words.next().unwrap_or_default();
    let table = match verb {
        "UPDATE" => words.next(),
        "INSERT" => words.nth(1),
        _ => words.skip_while(|word| *word != "FROM").nth(1),
    };
    let kind = match verb {
        "SELECT" => "read",
        _ if cql.contains(" IF ") => "compare_and_set",
        _ => "write",
    };
    let table = table.map_or("unknown", |table| table.split_once('.').map_or(table, |(_, table)| table));
    (table, kind)
}

/// What an operator tells failures apart by.
pub(super) trait Kind {
    fn kind(&self) -> &'static str;
}

impl Kind for ExecutionError {
    fn kind(&self) -> &'static str {
        match self {
            Self::RequestTimeout(_) => "no_answer",
            Self::ConnectionPoolError(_) | Self::EmptyPlan => "no_connection",
            Self::LastAttemptError(attempt) => attempt.kind(),
            _ => "other",
        }
    }
}

impl Kind for PagerExecutionError {
    fn kind(&self) -> &'static str {
        match self {
            Self::NextPageError(NextPageError::RequestFailure(failure)) => match failure {
                RequestError::RequestTimeout(_) => "no_answer",
                RequestError::ConnectionPoolError(_) | RequestError::EmptyPlan => "no_connection",
                RequestError::LastAttemptError(attempt) => attempt.kind(),
                _ => "other",
            },
            _ => "other",
        }
    }
}

impl Kind for RequestAttemptError {
    fn kind(&self) -> &'static str {
        match self {
            Self::BrokenConnectionError(_) => "no_connection",
            Self::DbError(DbError::ReadTimeout { .. }, _) => "read_timeout",
            // Whoever asks for the same row at once may be in each other's way until neither has time left.
            Self::DbError(DbError::WriteTimeout { write_type: WriteType::Cas, .. }, _) => "compare_and_set_timeout",
            Self::DbError(DbError::WriteTimeout { .. }, _) => "write_timeout",
            Self::DbError(DbError::Unavailable { .. }, _) => "too_few_nodes",
            Self::DbError(DbError::Overloaded | DbError::RateLimitReached { .. }, _) => "overloaded",
            Self::DbError(DbError::ReadFailure { .. } | DbError::WriteFailure { .. }, _) => "failed_on_replicas",
            _ => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_failure_is_counted_by_what_it_says_of_cassandra() {
        let metrics = CassandraMetrics::default();
        let slow = DbError::WriteTimeout {
            consistency: scylla::statement::Consistency::LocalQuorum,
            received: 1,
            required: 2,
            write_type: WriteType::Cas,
        };
        let slow = RequestAttemptError::DbError(slow, String::new());
        for (error, kind) in [
            (ExecutionError::RequestTimeout(Duration::from_secs(6)), "no_answer"),
            (ExecutionError::LastAttemptError(slow), "compare_and_set_timeout"),
            (ExecutionError::EmptyPlan, "no_connection"),
        ] {
            let failing = async { Err::<(), _>(error) };
            assert!(metrics.measure("SELECT a FROM b", failing).await.is_err());
            assert_eq!(metrics.request_errors.get_or_create(&Failed { kind }).get(), 1, "{kind}");
        }
    }

    #[test]
    fn a_statement_says_its_table_and_what_it_does() {
        for (cql, said) in [
            ("SELECT epoch, raiser FROM room_log WHERE room = ?", ("room_log", "read")),
            ("INSERT INTO keys (room) VALUES (?) USING TIMESTAMP ?", ("keys", "write")),
            ("INSERT INTO workers (worker) VALUES (?) IF NOT EXISTS", ("workers", "compare_and_set")),
            ("UPDATE room_log SET epoch = ? WHERE room = ? IF epoch = ?", ("room_log", "compare_and_set")),
            ("UPDATE events USING TIMESTAMP ? SET renumbered = true WHERE room = ?", ("events", "write")),
            ("SELECT user FROM chat.names WHERE name = ?", ("names", "read")),
            ("INSERT INTO chat.names (name) VALUES (?) IF NOT EXISTS", ("names", "compare_and_set")),
            ("UPDATE chat.names SET user = ? WHERE name = ? IF user = ?", ("names", "compare_and_set")),
            ("", ("unknown", "write")),
        ] {
            assert_eq!(describe(cql), said);
        }
    }
}
