//! Which worker is taken, and for how long.

use std::time::Duration;

use crate::ports::{LeaseUpdate, Unavailable, WorkerLease, WorkerLeases, Workers};

/// The shortest lease: what a stop of the store may last, from the first moment of a node, before identifiers run
/// out (less the time to the next renewal).
const SHORTEST: Duration = Duration::from_secs(2 * 60);

/// The longest one: the same, of a node that has been up for half an hour.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// A lease is renewed when a sixth of it has passed, so that five sixths are left when the store stops.
const RENEWALS_PER_LEASE: u32 = 6;

/// Workers that are tried before one gives up. Each failure is another node's success.
const ATTEMPTS: usize = 64;

/// Makes the tokens of holders, and chooses where to begin looking.
pub(super) type Tokens = Box<dyn Fn() -> Result<u128, Unavailable> + Send + Sync>;

/// A worker that was taken.
pub(super) struct Taken {
    pub(super) lease: WorkerLease,
    /// Times before this are those of former holders.
    pub(super) from: i64,
}

/// How long a lease lasts, in microseconds, when its holder has held the worker for `age` of them.
///
/// Twice as long as that. Every start takes another worker, so that none waits for a lease to end; what it leaves
/// behind when it ends without a word is held for no longer than twice its life. A node that starts, fails after a
/// second and starts again holds 120 of the 1024 workers up, one that fails after a minute three, and after any
/// longer time as many.
pub(super) fn length(age: i64) -> i64 {
    age.saturating_mul(2).clamp(micros(SHORTEST), micros(LONGEST))
}

/// How long after one renewal the next is made.
pub(super) fn renewed_after(age: i64) -> Duration {
    Duration::from_micros(length(age).cast_unsigned()) / RENEWALS_PER_LEASE
}

/// Takes a worker that nobody holds, for times from `reached` on at the earliest.
pub(super) async fn take(
    leases: &dyn WorkerLeases,
    now: i64,
    reached: i64,
    tokens: &Tokens,
) -> Result<Taken, Unavailable> {
    let known = leases.worker_leases().await?;
    for (worker, old) in candidates(leases.workers(), &known, now, tokens()?)?.into_iter().take(ATTEMPTS) {
        let from = old.map_or(i64::MIN, |old| old.valid_until);
        let valid_until = now.max(from).max(reached).saturating_add(micros(SHORTEST));
        let lease = WorkerLease { worker, holder: tokens()?, valid_until };
        if leases.replace_worker_lease(old, lease).await? == LeaseUpdate::Done {
            return Ok(Taken { lease, from });
        }
    }
    Err(Unavailable::new("other nodes keep taking the worker ids that this one tries"))
}

/// The workers that may be taken, and what stands there. They are tried from a random one on, so that nodes that start
/// at once do not try the same.
fn candidates(
    workers: Workers,
    known: &[WorkerLease],
    now: i64,
    random: u128,
) -> Result<Vec<(u16, Option<WorkerLease>)>, Unavailable> {
    let lease_of = |worker| known.iter().find(|lease| lease.worker == worker).copied();
    let count = match workers {
        Workers::Alone => return Ok(vec![(0, lease_of(0))]),
        Workers::Shared(count) => count,
    };
    let begin = u16::try_from(random % u128::from(count.max(1))).unwrap_or(0);
    let all = (begin..count).chain(0..begin).map(|worker| (worker, lease_of(worker)));
    let free: Vec<_> = all.filter(|(_, lease)| lease.is_none_or(|lease| lease.valid_until <= now)).collect();
    if free.is_empty() {
        let first = known.iter().map(|lease| lease.valid_until).min().unwrap_or(now);
        let wait = Duration::from_micros(first.saturating_sub(now).cast_unsigned());
        return Err(Unavailable::new(format_args!(
            "all {count} worker ids are in use: the first is free in {} s at the latest, unless its node lives",
            wait.as_secs().saturating_add(1)
        )));
    }
    Ok(free)
}

/// A random token.
pub(super) fn random() -> Result<u128, Unavailable> {
    let mut bytes = [0; 16];
    crate::random::fill(&mut bytes).map_err(Unavailable::new)?;
    Ok(u128::from_le_bytes(bytes))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(worker: u16, valid_until: i64) -> WorkerLease {
        WorkerLease { worker, holder: 1, valid_until }
    }

    fn workers(workers: Workers, known: &[WorkerLease], random: u128) -> Vec<u16> {
        candidates(workers, known, 100, random).unwrap().into_iter().map(|(worker, _)| worker).collect()
    }

    #[test]
    fn free_and_ended_ones_are_tried_from_a_random_one_on() {
        let known = [lease(0, 99), lease(1, 101), lease(3, 100)];
        assert_eq!(workers(Workers::Shared(5), &known, 3), [3, 4, 0, 2]);
        assert_eq!(workers(Workers::Shared(5), &known, 11), [2, 3, 4, 0]);
    }

    #[test]
    fn who_is_alone_takes_over_from_itself_at_once() {
        assert_eq!(workers(Workers::Alone, &[lease(0, 1_000)], 7), [0]);
        assert_eq!(workers(Workers::Alone, &[], 7), [0]);
    }

    #[test]
    fn when_all_are_held_the_error_says_until_when() {
        let known: Vec<_> = (0..4).map(|worker| lease(worker, 5_000_000 + i64::from(worker))).collect();
        let error = candidates(Workers::Shared(4), &known, 100, 0).unwrap_err();
        assert!(error.cause.contains("all 4 worker ids") && error.cause.contains("in 5 s"), "{error}");
    }

    #[test]
    fn a_node_that_keeps_failing_leaves_workers_to_the_others() {
        for life in [1, 2, 10, 30, 60, 600, 1_800, 7_200] {
            let (second, mut held) = (1_000_000, Vec::new());
            let mut now = 0;
            let mut most = 0;
            while now < 20_000 * second {
                held.retain(|until| *until > now);
                // It renews for as long as it lives, and dies right after having done so.
                held.push(now + life * second + length(life * second));
                now += life * second;
                most = most.max(held.len());
            }
            assert!(most <= if life == 1 { 122 } else { 62 }, "{life} s: {most}");
        }
    }
}
