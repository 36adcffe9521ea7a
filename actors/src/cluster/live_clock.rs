use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::ports::{Clock, LiveLog, Unavailable};

/// How long a reading is gone by: within it no clock that is kept right moves by more than milliseconds.
const READ_EVERY: Duration = Duration::from_secs(10);

/// How far this node's two clocks may drift apart before somebody has stepped one of them, in microseconds.
const STEP_MICROS: i64 = 1_000_000;

/// What time it is by the clock of the live log, which deadlines are judged by (rule 6): not this node's, which may be
/// minutes apart.
#[derive(Default)]
pub(super) struct LiveClock(Mutex<Option<Reading>>);

#[derive(Clone, Copy)]
struct Reading {
    /// By the live log's clock.
    theirs: i64,
    /// By this node's time of day.
    ours: i64,
    at: Instant,
}

impl LiveClock {
    /// The time there: a reading that is not old, gone on since by a clock that nobody steps.
    pub(super) async fn now(&self, live: &dyn LiveLog, clock: &dyn Clock) -> Result<i64, Unavailable> {
        if let Some(now) = self.estimate(clock) {
            return Ok(now);
        }
        let theirs = live.time().await?;
        let reading = Reading { theirs, ours: clock.now_micros(), at: Instant::now() };
        *self.reading() = Some(reading);
        Ok(theirs)
    }

    fn estimate(&self, clock: &dyn Clock) -> Option<i64> {
        let reading = (*self.reading())?;
        let since = reading.at.elapsed();
        let micros = i64::try_from(since.as_micros()).ok()?;
        let stepped = clock.now_micros().saturating_sub(reading.ours).saturating_sub(micros);
        let is_good = since < READ_EVERY && stepped.abs() < STEP_MICROS;
        is_good.then(|| reading.theirs.saturating_add(micros))
    }

    fn reading(&self) -> std::sync::MutexGuard<'_, Option<Reading>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ports::memory::{ManualClock, MemoryLiveLog};

    #[tokio::test(start_paused = true)]
    async fn it_is_read_again_after_a_while_and_when_a_clock_was_stepped() {
        let (theirs, ours) = (Arc::new(ManualClock::new(500_000_000)), ManualClock::new(7));
        let live = MemoryLiveLog::new(Arc::clone(&theirs) as _);
        let clock = LiveClock::default();
        assert_eq!(clock.now(&*live, &ours).await.unwrap(), 500_000_000);
        live.set_reachable(false);
        let passed = |by| {
            ours.advance(by);
            tokio::time::advance(by)
        };
        passed(Duration::from_secs(3)).await;
        assert_eq!(clock.now(&*live, &ours).await.unwrap(), 503_000_000, "without asking");
        ours.advance(Duration::from_secs(2));
        assert!(clock.now(&*live, &ours).await.is_err(), "our clock was stepped: it asks");
        live.set_reachable(true);
        theirs.set(100_000_000);
        assert_eq!(clock.now(&*live, &ours).await.unwrap(), 100_000_000);
        passed(Duration::from_secs(11)).await;
        assert_eq!(clock.now(&*live, &ours).await.unwrap(), 100_000_000, "it asked again");
    }
}
