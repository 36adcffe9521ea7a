//! Makes identifiers: 64-bit Snowflakes, unique in the deployment, rising with time.
//!
//! From the top: one zero bit, 41 bits of milliseconds since 2026-01-01, 10 bits of worker, 12 bits of
//! count. Which worker a generator is, and which times it may use, it leases from the store first
//! ([`WorkerLeases`]). The time inside the identifier is the fence (log protocol, rule 33): neither a restart, nor a
//! clock that was set, nor a process that was stopped for a while can make an identifier twice, whatever others did
//! meanwhile.
//!
//! - `stretch` makes identifiers of one worker between two moments, and of nothing else.
//! - `lease` takes workers and says how long they are held.

mod lease;
#[cfg(test)]
mod simulation;
mod stretch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::Notify;

use crate::ports::{Clock, LeaseUpdate, Unavailable, WorkerLease, WorkerLeases};
use lease::{Taken, Tokens, length, random, renewed_after, take};
use stretch::Stretch;
pub use stretch::WORKERS;

/// How soon a lease that could not be renewed is tried again. At the least a lease lasts two minutes.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Between two renewals that were asked for because identifiers ran out.
const HURRY_AFTER: Duration = Duration::from_secs(1);

/// Times that a lease is renewed at once when an earlier renewal of the same holder turns out to have arrived: calls
/// come one after the other, so more than one of them is rare.
const RENEWALS_MAX: usize = 4;

/// What is counted of identifiers.
#[derive(Debug, Clone, Default)]
pub struct IdMetrics {
    /// Identifiers that could not be made: the lease had ended.
    pub refused: Counter,
    /// Leases taken: one when the node starts, another for each that was lost.
    pub leases_taken: Counter,
    /// Renewals that failed, and are tried again.
    pub renewals_failed: Counter,
    /// When the lease ends, in seconds since 1970.
    pub lease_until: Gauge,
}

impl IdMetrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for (name, help, counter) in [
            ("bobchat_ids_refused", "Identifiers that could not be made", &metrics.refused),
            ("bobchat_worker_leases_taken", "Worker ids that this node took", &metrics.leases_taken),
            ("bobchat_worker_renewals_failed", "Leases that could not be renewed", &metrics.renewals_failed),
        ] {
            registry.register(name, help, counter.clone());
        }
        let until = "Until when identifiers can be made without the store, in seconds since 1970";
        registry.register("bobchat_worker_lease_until_seconds", until, metrics.lease_until.clone());
        metrics
    }
}

/// Makes identifiers for all threads of a node.
pub struct IdGenerator {
    clock: Arc<dyn Clock>,
    leases: Arc<dyn WorkerLeases>,
    tokens: Tokens,
    stretch: Mutex<Stretch>,
    /// Held while the lease is renewed: one call at a time.
    held: tokio::sync::Mutex<Held>,
    /// An identifier could not be made.
    used_up: Notify,
    metrics: IdMetrics,
}

/// The lease as the store has confirmed it.
struct Held {
    lease: WorkerLease,
    /// What the clock said when the worker was taken.
    taken_at: i64,
}

impl IdGenerator {
    /// Takes a worker.
    ///
    /// # Errors
    /// [`Unavailable`] when the store does not answer, or every worker is held by somebody.
    pub async fn open(
        clock: Arc<dyn Clock>,
        leases: Arc<dyn WorkerLeases>,
        metrics: IdMetrics,
    ) -> Result<Self, Unavailable> {
        Self::open_with(clock, leases, metrics, Box::new(random)).await
    }

    async fn open_with(
        clock: Arc<dyn Clock>,
        leases: Arc<dyn WorkerLeases>,
        metrics: IdMetrics,
        tokens: Tokens,
    ) -> Result<Self, Unavailable> {
        let taken_at = clock.now_micros();
        let Taken { lease, from } = take(&*leases, taken_at, i64::MIN, &tokens).await?;
        let mut stretch = Stretch::default();
        stretch.begin(lease.worker, from, lease.valid_until);
        let (stretch, used_up) = (Mutex::new(stretch), Notify::new());
        let held = tokio::sync::Mutex::new(Held { lease, taken_at });
        let ids = Self { clock, leases, tokens, stretch, held, used_up, metrics };
        ids.note_taken(lease);
        Ok(ids)
    }

    /// Makes an identifier: from 1, below 2^63, greater than every one made here before.
    ///
    /// # Errors
    /// [`Unavailable`] when the lease has ended by this clock: the store took no renewal for a long time, or the
    /// clock jumped ahead. [`Self::tend`] mends it as soon as the store answers.
    pub fn next(&self) -> Result<u64, Unavailable> {
        self.stretch().next(self.clock.now_micros()).ok_or_else(|| {
            self.metrics.refused.inc();
            self.used_up.notify_one();
            Unavailable::new("the time that identifiers were leased for is used up")
        })
    }

    /// Keeps the worker, or takes another when it was lost, for as long as it is polled.
    pub async fn tend(&self) {
        let mut pause = self.renewed_after().await;
        loop {
            let _ = tokio::time::timeout(pause, self.hurry()).await;
            pause = match self.renew().await {
                Ok(()) => self.renewed_after().await,
                Err(error) => {
                    self.metrics.renewals_failed.inc();
                    tracing::warn!(error = %error, "could not renew the lease of a worker id, trying again");
                    RETRY_AFTER
                }
            };
        }
    }

    /// Ends when identifiers have run out, but not at once.
    async fn hurry(&self) {
        tokio::time::sleep(HURRY_AFTER).await;
        self.used_up.notified().await;
    }

    async fn renewed_after(&self) -> Duration {
        let taken_at = self.held.lock().await.taken_at;
        renewed_after(self.clock.now_micros().saturating_sub(taken_at))
    }

    /// Has the lease last longer, or takes another worker when somebody took this one. Until that is answered
    /// identifiers are made as before: the old lease ends where it ended.
    async fn renew(&self) -> Result<(), Unavailable> {
        let mut held = self.held.lock().await;
        for _ in 0..RENEWALS_MAX {
            let now = self.clock.now_micros();
            let begins = now.max(self.stretch().reached());
            let until = begins.saturating_add(length(now.saturating_sub(held.taken_at)));
            if until <= held.lease.valid_until {
                return Ok(());
            }
            let wanted = WorkerLease { valid_until: until, ..held.lease };
            match self.leases.replace_worker_lease(Some(held.lease), wanted).await? {
                LeaseUpdate::Done => {
                    self.extend(&mut held, wanted);
                    return Ok(());
                }
                // A renewal that was given up arrived after all.
                LeaseUpdate::Changed(Some(stands)) if stands.holder == held.lease.holder => {
                    self.extend(&mut held, stands);
                }
                LeaseUpdate::Changed(_) => return self.take_another(&mut held).await,
            }
        }
        Ok(())
    }

    fn extend(&self, held: &mut Held, lease: WorkerLease) {
        held.lease = lease;
        self.stretch().extend(lease.valid_until);
        self.metrics.lease_until.set(lease.valid_until / 1_000_000);
    }

    async fn take_another(&self, held: &mut Held) -> Result<(), Unavailable> {
        let lost = held.lease.worker;
        let (now, reached) = (self.clock.now_micros(), self.stretch().reached());
        let Taken { lease, from } = take(&*self.leases, now, reached, &self.tokens).await?;
        self.stretch().begin(lease.worker, from, lease.valid_until);
        *held = Held { lease, taken_at: now };
        tracing::warn!(worker.lost = lost, worker.id = lease.worker, "another node took the worker id of this one");
        self.note_taken(lease);
        Ok(())
    }

    fn note_taken(&self, lease: WorkerLease) {
        tracing::debug!(worker.id = lease.worker, "took a worker id");
        self.metrics.leases_taken.inc();
        self.metrics.lease_until.set(lease.valid_until / 1_000_000);
    }

    /// Never held across a call; a thread that panicked left it whole.
    fn stretch(&self) -> MutexGuard<'_, Stretch> {
        self.stretch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::memory::{ManualClock, MemoryStore};

    const NOW: i64 = 1_800_000_000_000_000;
    const SECOND: i64 = 1_000_000;

    async fn opened(clock: &Arc<ManualClock>, store: &Arc<MemoryStore>) -> IdGenerator {
        IdGenerator::open(clock.clone(), store.clone(), IdMetrics::default()).await.unwrap()
    }

    fn two_nodes() -> (Arc<ManualClock>, Arc<MemoryStore>) {
        let clock = Arc::new(ManualClock::new(NOW));
        (clock.clone(), MemoryStore::new(clock))
    }

    #[tokio::test]
    async fn without_renewals_identifiers_are_made_until_the_lease_ends_and_then_refused() {
        let (clock, store) = two_nodes();
        let ids = opened(&clock, &store).await;
        clock.set(NOW + 119 * SECOND);
        ids.next().unwrap();
        clock.set(NOW + 120 * SECOND);
        assert!(ids.next().is_err());
        ids.renew().await.unwrap();
        ids.next().unwrap();
        assert_eq!((ids.metrics.refused.get(), ids.metrics.leases_taken.get()), (1, 1));
    }

    #[tokio::test]
    async fn a_lease_is_as_long_as_its_holder_has_lived() {
        let (clock, store) = two_nodes();
        let ids = opened(&clock, &store).await;
        for (age, lasts) in [(60, 120), (600, 1_200), (7_200, 3_600), (90_000, 3_600)] {
            clock.set(NOW + age * SECOND);
            ids.renew().await.unwrap();
            let lease = store.worker_leases().await.unwrap()[0];
            assert_eq!(lease.valid_until, NOW + (age + lasts) * SECOND);
        }
    }

    #[tokio::test]
    async fn a_clock_that_jumps_ahead_and_back_stops_nobody_for_long() {
        let (clock, store) = two_nodes();
        let ids = opened(&clock, &store).await;
        let mut last = ids.next().unwrap();
        for now in [NOW + 1_000_000 * SECOND, NOW, NOW + SECOND, NOW + 2_000_000 * SECOND, NOW - 9_000_000 * SECOND] {
            clock.set(now);
            ids.renew().await.unwrap();
            for _ in 0..10_000 {
                let id = ids.next().unwrap();
                assert!(id > last);
                last = id;
            }
        }
        assert_eq!(ids.metrics.leases_taken.get(), 1);
    }

    #[tokio::test]
    async fn who_lost_the_worker_takes_another_and_goes_on_above() {
        let (clock, store) = two_nodes();
        let ids = opened(&clock, &store).await;
        let before = ids.next().unwrap();
        let lease = store.worker_leases().await.unwrap()[0];
        let thief = WorkerLease { holder: 1, valid_until: lease.valid_until + SECOND, ..lease };
        assert_eq!(store.replace_worker_lease(Some(lease), thief).await.unwrap(), LeaseUpdate::Done);
        clock.set(NOW + 119 * SECOND);
        let still = ids.next().unwrap();
        ids.renew().await.unwrap();
        let after = ids.next().unwrap();
        assert!(before < still && still < after);
        assert_ne!(still >> 12 & 1023, after >> 12 & 1023, "another worker");
    }

    #[tokio::test(start_paused = true)]
    async fn who_runs_out_is_tended_within_a_second() {
        let (clock, store) = two_nodes();
        let ids = opened(&clock, &store).await;
        clock.set(NOW + 500 * SECOND);
        let started = tokio::time::Instant::now();
        let tended = tokio::time::timeout(Duration::from_secs(600), ids.tend());
        let wanted = async {
            while ids.next().is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        futures_util::future::select(Box::pin(tended), Box::pin(wanted)).await;
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
}
