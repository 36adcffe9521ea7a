//! A node that ends sends its clients away.

use std::collections::BTreeSet;
use std::time::Duration;

use bobchat_proto::wire;

use crate::node::{PATIENCE, TestNode, eventually};
use crate::person::Person;

fn told(people: &mut [Person]) -> usize {
    people.iter_mut().filter_map(Person::closed).count()
}

/// All at once they would come back at once, to nodes that have others to serve.
#[actix::test]
async fn those_of_a_node_that_ends_are_told_one_portion_after_the_other() {
    let node = TestNode::start().await;
    let mut people = Vec::new();
    for _ in 0..120 {
        people.push(Person::connect(&node.worker));
    }
    let core = node.worker.core.clone();
    let draining = actix::spawn(async move { core.drain(PATIENCE).await });
    let mut seen = BTreeSet::new();
    while told(&mut people) < people.len() {
        seen.insert(told(&mut people));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(seen.range(1..people.len()).next().is_some(), "all at one moment: {seen:?}");
    let mut late = Person::connect(&node.worker);
    people.iter_mut().for_each(Person::hang_up);
    eventually("who comes then is told at once", || late.closed() == Some(4000)).await;
    late.hang_up();
    assert_eq!(draining.await.unwrap(), 0);
}

/// Half of the time that the node has, so that the last ones told have the other half for leaving.
#[actix::test]
async fn many_are_told_within_half_of_the_time_and_until_then_they_are_served() {
    const PEOPLE: usize = 400;
    let node = TestNode::start().await;
    let mut people = vec![Person::sign_in(&node.worker, 2).await];
    let room = people[0].make_room().await;
    for _ in 1..20 {
        people.push(Person::sign_in(&node.worker, 2).await);
    }
    while people.len() < PEOPLE {
        people.push(Person::connect(&node.worker));
    }
    tokio::time::pause();
    let core = node.worker.core.clone();
    let draining = actix::spawn(async move { core.drain(Duration::from_millis(400)).await });
    let mut seen = Vec::new();
    for _ in 0..4 {
        // Portions are told every 50 ms, the first at once.
        tokio::time::sleep(Duration::from_millis(25)).await;
        seen.push(told(&mut people));
        if seen.len() == 1 {
            // In no order, so one of her twenty waits for its turn.
            let waiting = (0..20).find(|number| people[*number].closed().is_none()).unwrap();
            let sent: wire::MessageSendOk = people[waiting].say(room, "not-told-yet").await;
            assert!(sent.position.is_some());
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(seen, [100, 200, 300, 400]);
    people.iter_mut().for_each(Person::hang_up);
    // However long a busy machine takes: no time passes while they leave.
    assert_eq!(draining.await.unwrap(), 0);
    tokio::time::resume();
}

#[actix::test]
async fn where_there_is_no_time_all_are_told_at_once_and_nobody_is_waited_for() {
    let node = TestNode::start().await;
    let mut people: Vec<Person> = (0..120).map(|_| Person::connect(&node.worker)).collect();
    // So that all of it happens at one moment.
    tokio::time::pause();
    assert_eq!(node.worker.core.drain(Duration::ZERO).await, 120, "they are still there");
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(told(&mut people), 120);
    tokio::time::resume();
}
