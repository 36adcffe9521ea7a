use std::time::Duration;

/// The first wait before another attempt to connect; doubles up to [`LONGEST`], and a random part is taken off, so
/// that nodes do not come back all at once.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// Waits between attempts to connect, longer and longer.
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(SHORTEST)
    }
}

impl Backoff {
    /// An attempt was good.
    pub(super) fn reset(&mut self) {
        self.0 = SHORTEST;
    }

    /// Waits before the next attempt.
    pub(super) async fn wait(&mut self) {
        tokio::time::sleep(jittered(self.0)).await;
        self.0 = (self.0 * 2).min(LONGEST);
    }
}

/// Half of the time to all of it.
fn jittered(wait: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or_default();
    wait / 2 + wait.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0)
}
