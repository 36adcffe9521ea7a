/// Tells the time of day. Durations are measured with [`tokio::time::Instant`] instead, which tests can
/// pause and which no operator can step.
pub trait Clock: Send + Sync {
    /// Microseconds since 1970-01-01T00:00:00Z; may go back.
    fn now_micros(&self) -> i64;
}
