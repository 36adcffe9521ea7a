use bobchat_proto::ids::{Epoch, Ordinal, Position, Sequence};
use bobchat_proto::wire;
use futures_util::future::join_all;

use super::scenario::{Room, head};
use super::{LiveSubject, MakeLive};
use crate::ports::Head;
use crate::ports::contract::scenario::{appended, joined, message};

/// The year 2100: ahead of every clock.
const AHEAD_MICROS: i64 = 4_102_444_800_000_000;

pub(super) async fn cases(make: MakeLive<'_>) {
    a_batch_gets_dense_positions_in_its_order(make().await).await;
    time_strictly_increases_when_the_clock_is_behind(make().await).await;
    events_come_back_as_they_were_given(make().await).await;
    an_empty_batch_adds_nothing(make().await).await;
    a_large_batch_is_one_batch(make().await).await;
    concurrent_batches_get_one_order(make().await).await;
    the_tail_is_what_comes_after(make().await).await;
}

/// Rule 7.
async fn a_batch_gets_dense_positions_in_its_order(subject: Box<dyn LiveSubject>) {
    let room = Room::open(&*subject, 7).await;
    let mut batch = ["a", "b", "c"].map(|text| room.event(1, None, message(text))).to_vec();
    batch.push(room.event(2, None, joined(2)));
    let done = room.append(batch.clone()).await.expect("it is appended");
    assert_eq!(done.archived, Sequence::ZERO);
    let events: Vec<_> = done.outcomes.iter().map(appended).collect();
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(events.iter().map(|event| event.ordinal).collect::<Vec<_>>(), [Some(1), Some(2), Some(3), None]);
    assert!(events.iter().all(|event| event.epoch == 1));
    assert!(events.iter().zip(&batch).all(|(event, new)| event.id == new.event.id));
    assert!(events.is_sorted_by(|a, b| a.at < b.at));
    let position = Position { epoch: Epoch(1), seq: Sequence(4) };
    let expected = Head { position, at: events[3].at, ordinal: Ordinal(3), state_seq: Sequence(4) };
    assert_eq!(room.head().await, expected);
}

/// Rule 7.
async fn time_strictly_increases_when_the_clock_is_behind(subject: Box<dyn LiveSubject>) {
    let room = Room::cold(&*subject, 7);
    room.raise(Head { at: AHEAD_MICROS, ..head(2, 40) }).await;
    let batch = vec![room.event(1, None, message("a")), room.event(1, None, message("b"))];
    room.append(batch).await.expect("it is appended");
    room.say("c").await;
    let times: Vec<_> = room.tail().await.iter().map(|event| event.at - AHEAD_MICROS).collect();
    assert_eq!(times, [1, 2, 3]);
}

async fn events_come_back_as_they_were_given(subject: Box<dyn LiveSubject>) {
    let room = Room::open(&*subject, (1 << 62) + 1).await;
    let mut new = room.event((1 << 62) + 3, Some("key-1"), message("zwölf Boxkämpfer \u{1F94A}\0"));
    // No double holds these.
    (new.event.id, new.body_hash) = ((1 << 62) + 5, u64::MAX - 1);
    new.event.first = Some(wire::Position { epoch: 3, seq: (1 << 60) + 1 });
    // What the author left in the fields of the place does not count.
    (new.event.epoch, new.event.seq, new.event.at, new.event.ordinal) = (9, 9, 9, Some(9));
    let event = appended(&room.append_one(new.clone()).await).clone();
    let expected = wire::Event { epoch: 1, seq: 1, at: event.at, ordinal: Some(1), ..new.event };
    assert_eq!(event, expected);
    let change = room.add((1 << 61) + 1, joined((1 << 61) + 1)).await;
    assert_eq!(change.ordinal, None);
    assert_eq!(room.tail().await, [event.clone(), change.clone()]);
    assert_eq!(room.fence(Epoch(2)).await.events, [event, change]);
}

async fn an_empty_batch_adds_nothing(subject: Box<dyn LiveSubject>) {
    let room = Room::open(&*subject, 7).await;
    room.say("hello").await;
    let head = room.head().await;
    assert!(room.append(Vec::new()).await.expect("it is taken").outcomes.is_empty());
    assert_eq!(room.head().await, head);
}

async fn a_large_batch_is_one_batch(subject: Box<dyn LiveSubject>) {
    let room = Room::open(&*subject, 7).await;
    let text = "x".repeat(300);
    let batch = (0..1_500).map(|number| room.event(1, Some(&format!("key {number}")), message(&text))).collect();
    let done = room.append(batch).await.expect("it is appended");
    assert!(done.outcomes.iter().map(|outcome| appended(outcome).seq).eq(1..=1_500));
    assert!(room.tail().await.iter().eq(done.outcomes.iter().map(appended)));
}

async fn concurrent_batches_get_one_order(subject: Box<dyn LiveSubject>) {
    let rooms = [Room::open(&*subject, 7).await, Room::open(&*subject, 8).await];
    let batches = (0..40).map(|number| {
        let room = &rooms[number % 2];
        async move {
            let texts = (0..5).map(|part| room.event(1, None, message(&format!("{number}/{part}"))));
            room.append(texts.collect()).await.expect("it is appended").outcomes
        }
    });
    let outcomes = join_all(batches).await;
    for room in &rooms {
        let tail = room.tail().await;
        assert!(tail.iter().map(|event| event.seq).eq(1..=100), "dense");
        assert!(tail.iter().map(|event| event.ordinal).eq((1..=100).map(Some)));
        assert!(tail.is_sorted_by(|a, b| a.at < b.at));
        let events = outcomes.iter().flatten().map(appended);
        let mut placed: Vec<_> = events.filter(|event| event.room == room.id.get()).collect();
        placed.sort_by_key(|event| event.seq);
        assert!(placed.into_iter().eq(&tail), "everybody was told where their event stands");
    }
    assert!(outcomes.iter().all(|batch| batch.windows(2).all(|w| appended(&w[0]).seq + 1 == appended(&w[1]).seq)));
}

async fn the_tail_is_what_comes_after(subject: Box<dyn LiveSubject>) {
    let room = Room::open(&*subject, 7).await;
    let mut events = Vec::new();
    for number in 1..=9 {
        let body = if number % 3 == 0 { joined(number) } else { message("here") };
        events.push(room.add(1, body).await);
    }
    for (after, limit) in [(0, 3), (4, 2), (4, 100), (8, 5), (9, 5), (100, 5), (u64::MAX, 5), (0, 0)] {
        let expected: Vec<_> = events.iter().filter(|event| event.seq > after).take(limit).cloned().collect();
        assert_eq!(room.tail_of(after, limit).await, expected, "after {after}, at most {limit}");
    }
}
