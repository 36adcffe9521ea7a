use futures_util::future::join_all;

use super::{Make, Subject};
use crate::ports::{LeaseUpdate, WorkerLease, WorkerLeases};

/// Checks what [`WorkerLeases`] promises. Every store has worker 0.
pub async fn worker_leases(make: Make<'_>) {
    a_lease_takes_the_place_of_just_that_one(make()).await;
    a_lease_stands_when_the_store_is_opened_again(make()).await;
    of_two_who_take_a_worker_at_once_one_has_it(make()).await;
}

fn lease(holder: u128, valid_until: i64) -> WorkerLease {
    WorkerLease { worker: 0, holder, valid_until }
}

async fn replace(leases: &dyn WorkerLeases, old: Option<WorkerLease>, new: WorkerLease) -> LeaseUpdate {
    leases.replace_worker_lease(old, new).await.expect("the store answers")
}

async fn a_lease_takes_the_place_of_just_that_one(subject: Box<dyn Subject>) {
    let leases = subject.stores().leases;
    assert_eq!(leases.worker_leases().await.expect("they are read"), []);
    let (first, renewed) = (lease(u128::MAX, 1_000), lease(u128::MAX, 2_000));
    assert_eq!(replace(&*leases, Some(first), renewed).await, LeaseUpdate::Changed(None), "it was never lent");
    assert_eq!(replace(&*leases, None, first).await, LeaseUpdate::Done);
    assert_eq!(replace(&*leases, None, lease(2, 9_000)).await, LeaseUpdate::Changed(Some(first)));
    assert_eq!(replace(&*leases, Some(first), renewed).await, LeaseUpdate::Done);
    // What a holder sent before, and arrives late, would take time away from it again.
    let late = replace(&*leases, Some(first), lease(u128::MAX, 1_500)).await;
    assert_eq!(late, LeaseUpdate::Changed(Some(renewed)));
    let strange = replace(&*leases, Some(lease(2, 2_000)), lease(2, 3_000)).await;
    assert_eq!(strange, LeaseUpdate::Changed(Some(renewed)), "another holder");
    let next = lease(2, 3_000);
    assert_eq!(replace(&*leases, Some(renewed), next).await, LeaseUpdate::Done, "another takes over");
    assert_eq!(replace(&*leases, Some(renewed), lease(u128::MAX, 4_000)).await, LeaseUpdate::Changed(Some(next)));
    assert_eq!(leases.worker_leases().await.expect("they are read"), [next]);
}

async fn a_lease_stands_when_the_store_is_opened_again(mut subject: Box<dyn Subject>) {
    let first = lease(u128::from(u64::MAX) + 7, 1_000);
    assert_eq!(replace(&*subject.stores().leases, None, first).await, LeaseUpdate::Done);
    subject.reopen();
    let leases = subject.stores().leases;
    assert_eq!(leases.worker_leases().await.expect("they are read"), [first]);
    assert_eq!(replace(&*leases, Some(first), lease(8, 2_000)).await, LeaseUpdate::Done);
}

async fn of_two_who_take_a_worker_at_once_one_has_it(subject: Box<dyn Subject>) {
    let leases = subject.stores().leases;
    let mut stands = None;
    for round in 1..=4 {
        let taken = (1..=8).map(|holder| replace(&*leases, stands, lease(holder, 1_000 * round)));
        let outcomes = join_all(taken).await;
        let won: Vec<_> = (1..=8).zip(&outcomes).filter(|(_, outcome)| **outcome == LeaseUpdate::Done).collect();
        assert_eq!(won.len(), 1, "{outcomes:?}");
        stands = Some(lease(won[0].0, 1_000 * round));
        let lost = outcomes.iter().filter(|outcome| **outcome != LeaseUpdate::Done);
        assert!(lost.into_iter().all(|outcome| *outcome == LeaseUpdate::Changed(stands)), "{outcomes:?}");
    }
}
