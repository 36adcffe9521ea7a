//! Generators of identifiers that share real workers.

use std::sync::Arc;
use std::time::Duration;

use bobchat::adapters::cassandra::CassandraStore;
use bobchat_actors::ids::{IdGenerator, IdMetrics, WORKERS};
use bobchat_actors::ports::contract::BEGIN_MICROS;
use bobchat_actors::ports::memory::ManualClock;
use bobchat_actors::ports::{LeaseUpdate, WorkerLease, WorkerLeases};
use futures_util::future::join_all;

use crate::support::{new_keyspace, open, options};

/// Where the worker stands in an identifier.
fn worker_of(id: u64) -> u16 {
    u16::try_from(id >> 12 & 1023).unwrap()
}

async fn generator(store: &Arc<CassandraStore>, clock: &Arc<ManualClock>) -> IdGenerator {
    IdGenerator::open(clock.clone(), store.clone(), IdMetrics::default()).await.unwrap()
}

async fn replace(store: &CassandraStore, old: Option<WorkerLease>, new: WorkerLease) -> LeaseUpdate {
    // An attempt whose outcome is not known is made again by whoever made it.
    loop {
        if let Ok(update) = store.replace_worker_lease(old, new).await {
            return update;
        }
    }
}

#[tokio::test]
async fn of_two_sessions_that_race_for_one_worker_one_has_it() {
    let options = options(&new_keyspace());
    let stores = [open(&options).await, open(&options).await];
    let mut stands = None;
    for round in 1..=20 {
        let lease = |holder| WorkerLease { worker: 1023, holder, valid_until: 1_000 * round };
        let taken = (1..=8).zip(stores.iter().cycle()).map(|(holder, store)| replace(store, stands, lease(holder)));
        let outcomes = join_all(taken).await;
        let won: Vec<_> = (1..=8).zip(&outcomes).filter(|(_, outcome)| **outcome == LeaseUpdate::Done).collect();
        let [(winner, _)] = won[..] else { panic!("{outcomes:?}") };
        stands = Some(lease(winner));
        for store in &stores {
            assert_eq!(store.worker_leases().await.unwrap(), Vec::from_iter(stands));
        }
    }
}

#[tokio::test]
async fn generators_that_start_at_once_have_a_worker_each() {
    let options = options(&new_keyspace());
    let stores = [open(&options).await, open(&options).await];
    let clock = Arc::new(ManualClock::new(BEGIN_MICROS));
    let opened = join_all((0..12).zip(stores.iter().cycle()).map(|(_, store)| generator(store, &clock))).await;
    let mut made: Vec<u64> = opened.iter().flat_map(|ids| (0..100).map(|_| ids.next().unwrap())).collect();
    made.sort_unstable();
    made.dedup();
    assert_eq!(made.len(), 1_200);
    assert_eq!(stores[0].worker_leases().await.unwrap().len(), 12);
}

#[tokio::test]
async fn a_worker_is_taken_over_when_its_lease_has_ended_and_not_before() {
    let store = open(&options(&new_keyspace())).await;
    let clock = Arc::new(ManualClock::new(BEGIN_MICROS));
    // All workers but one are held for a day, and that one by somebody who is stopped.
    let stopped = generator(&store, &clock).await;
    let worker = worker_of(stopped.next().unwrap());
    let day = 86_400_000_000;
    let held = (0..WORKERS).filter(|held| *held != worker);
    let held: Vec<_> = held.map(|worker| WorkerLease { worker, holder: 1, valid_until: BEGIN_MICROS + day }).collect();
    for held in held.chunks(64) {
        join_all(held.iter().map(|lease| replace(&store, None, *lease))).await;
    }

    clock.advance(Duration::from_secs(119));
    let refused = IdGenerator::open(clock.clone(), store.clone(), IdMetrics::default()).await.err().unwrap();
    assert!(refused.cause.contains("all 1024 worker ids are in use"), "{refused}");
    let last = stopped.next().unwrap();

    clock.advance(Duration::from_secs(1));
    let next = generator(&store, &clock).await;
    let first = next.next().unwrap();
    assert_eq!(worker_of(first), worker);
    assert!(first > last, "the time inside the identifier is behind all of the former holder's");
    assert!(stopped.next().is_err(), "it comes back too late");
    // Its clock is set back: what it makes is before the end of its lease, as it was.
    clock.set(BEGIN_MICROS);
    assert!(stopped.next().unwrap() < first && next.next().unwrap() > first);
}
