//! Figures for the decision page, not a judgement: `cargo test --release --test cassandra measure -- --ignored
//! --nocapture`.

use std::time::{Duration, Instant};

use bobchat::adapters::cassandra::CassandraStore;
use bobchat_actors::ports::{Anchor, EventStore, Head, History, Raiser, Span, StoredEvent};
use bobchat_proto::ids::{Epoch, Ordinal, Position, RoomId, Sequence};
use bobchat_proto::wire::{self, event::Body};
use futures_util::future::join_all;

use crate::support::{new_keyspace, open, options};

const PAGES: usize = 400;

fn message(room: RoomId, seq: u64) -> StoredEvent {
    let body = Some(Body::Message(wire::Message { text: "x".repeat(120) }));
    let (room, ordinal) = (room.get(), Some(seq));
    let event = wire::Event { room, epoch: 1, seq, id: seq, author: 5, at: 9, ordinal, body, ..wire::Event::default() };
    StoredEvent { event, body_hash: 3, renumbered: false }
}

async fn fill(store: &CassandraStore, room: RoomId, events: u64) -> Duration {
    store.raise(room, None, Raiser(1)).await.unwrap();
    store.begin(room, Span::FIRST, Raiser(1)).await.unwrap();
    let started = Instant::now();
    let calls: Vec<_> = (1..=events).step_by(500).collect();
    // As an archiver does: some batches of one room after another.
    for calls in calls.chunks(8) {
        let write = |first: &u64| store.store(room, (*first..first + 500).map(|seq| message(room, seq)).collect());
        join_all(calls.iter().map(write)).await.into_iter().for_each(Result::unwrap);
    }
    let taken = started.elapsed();
    let position = Position { epoch: Epoch(1), seq: Sequence(events) };
    store.note_head(room, Head { position, at: 9, ordinal: Ordinal(events), state_seq: Sequence(1) }).await.unwrap();
    taken
}

/// The median and the 99th percentile of pages of 50 at these anchors.
async fn pages(store: &CassandraStore, room: RoomId, anchor: impl Fn(usize) -> Anchor) -> (Duration, Duration) {
    let mut taken = Vec::new();
    for number in 0..PAGES {
        let started = Instant::now();
        let page = store.page(room, anchor(number), 50, &vec![Sequence(1)..=Sequence(u64::MAX)]).await.unwrap();
        assert_eq!(page.messages.len(), 50);
        taken.push(started.elapsed());
    }
    taken.sort();
    (*taken.get(PAGES / 2).unwrap(), *taken.get(PAGES * 99 / 100).unwrap())
}

#[tokio::test]
#[ignore = "is a measurement"]
async fn writes_and_pages_of_a_short_and_a_long_room() {
    let store = open(&options(&new_keyspace())).await;
    let long: u64 = std::env::var("BOBCHAT_MEASURE_EVENTS").map_or(1_000_000, |events| events.parse().unwrap());
    let (short_room, long_room) = (RoomId::new(1).unwrap(), RoomId::new(2).unwrap());
    fill(&store, short_room, 1_000).await;
    let taken = fill(&store, long_room, long).await;
    let rate = Duration::from_secs(long).as_secs_f64() / taken.as_secs_f64();
    println!("{long} events stored in {taken:.1?}: {rate:.0}/s");
    for round in 1..=3 {
        for (name, room, events) in [("short", short_room, 1_000), ("long", long_room, long)] {
            let newest = pages(&store, room, |_| Anchor::Newest).await;
            let step = events / PAGES as u64;
            let before =
                |number: usize| Anchor::Before(Sequence(51 + (number as u64 * 7_919 % PAGES as u64) * (step - 1)));
            let anywhere = pages(&store, room, before).await;
            println!(
                "{round} {name}: newest p50 {:?} p99 {:?}; anywhere p50 {:?} p99 {:?}",
                newest.0, newest.1, anywhere.0, anywhere.1
            );
        }
    }
}
