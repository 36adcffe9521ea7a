use std::sync::Arc;
use std::time::Duration;

use bobchat_proto::ids::{Epoch, Sequence};
use futures_util::future::join_all;

use super::scenario::{Room, appended, joined, message, room};
use super::{Make, Subject};
use crate::ports::{Append, AppendError};

pub(super) async fn cases(make: Make<'_>) {
    a_batch_gets_dense_positions_in_its_order(make()).await;
    time_strictly_increases_also_when_the_clock_goes_back(make()).await;
    events_come_back_as_they_were_given(make()).await;
    an_empty_batch_adds_nothing(make()).await;
    what_is_out_of_date_is_refused_and_nothing_added(make()).await;
    concurrent_batches_get_one_order(make()).await;
}

async fn a_batch_gets_dense_positions_in_its_order(subject: Box<dyn Subject>) {
    let room = Room::create(&subject.stores(), 7, "seven").await;
    let texts = ["a", "b", "c"].map(|text| room.event(1, None, message(text)));
    let mut batch = texts.to_vec();
    batch.push(room.event(2, None, joined(2)));
    let outcomes = room.append(batch.clone()).await.expect("it is appended");
    let events: Vec<_> = outcomes.iter().map(appended).collect();
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [2, 3, 4, 5]);
    assert_eq!(events.iter().map(|event| event.ordinal).collect::<Vec<_>>(), [Some(1), Some(2), Some(3), None]);
    assert!(events.iter().all(|event| event.epoch == Epoch::FIRST.0));
    assert!(events.iter().zip(&batch).all(|(event, new)| event.id == new.event.id));
}

async fn time_strictly_increases_also_when_the_clock_goes_back(subject: Box<dyn Subject>) {
    let (room, clock) = (Room::create(&subject.stores(), 7, "seven").await, subject.clock());
    clock.advance(Duration::from_secs(60));
    let now = super::BEGIN_MICROS + 60_000_000;
    assert_eq!(room.say(1, "now").await.at, now, "the clock's time when it is free");
    clock.set(super::BEGIN_MICROS - 3_600_000_000);
    let batch = vec![room.event(1, None, message("a")), room.event(1, None, message("b"))];
    room.append(batch).await.expect("it is appended");
    let times: Vec<_> = room.tail().await.iter().map(|event| event.at).collect();
    assert_eq!(times[2..], [now + 1, now + 2]);
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
}

async fn events_come_back_as_they_were_given(subject: Box<dyn Subject>) {
    let room = Room::create(&subject.stores(), 7, "seven").await;
    let new = room.event(3, Some("key-1"), message("zwölf Boxkämpfer \u{1F94A}"));
    let outcomes = room.append(vec![new.clone()]).await.expect("it is appended");
    let event = appended(&outcomes[0]).clone();
    let expected = bobchat_proto::wire::Event { epoch: 1, seq: 2, at: event.at, ordinal: Some(1), ..new.event };
    assert_eq!(event, expected);
    assert_eq!(room.tail().await.last(), Some(&event));
}

async fn an_empty_batch_adds_nothing(subject: Box<dyn Subject>) {
    let room = Room::create(&subject.stores(), 7, "seven").await;
    let head = room.head().await;
    assert!(room.append(Vec::new()).await.expect("it is taken").is_empty());
    assert_eq!(room.head().await, head);
}

async fn what_is_out_of_date_is_refused_and_nothing_added(subject: Box<dyn Subject>) {
    let stores = subject.stores();
    let absent = Room { id: room(9), log: Arc::clone(&stores.log) };
    let lost = Append {
        room: absent.id,
        epoch: Epoch::FIRST,
        known_seq: Sequence::ZERO,
        state_seq: Sequence::ZERO,
        events: vec![absent.event(1, None, message("hello"))],
    };
    assert!(matches!(stores.log.append(lost).await, Err(AppendError::Cold)));
    assert_eq!(stores.log.head(absent.id).await.expect("it is read"), None);

    let room = Room::create(&stores, 7, "seven").await;
    room.add(2, joined(2)).await;
    room.say(2, "hello").await;
    let head = room.head().await;
    let good = room.batch(vec![room.event(1, Some("key"), message("late"))]).await;
    let refused = |append: Append| async { room.log.append(append).await.expect_err("it is refused") };
    let ahead = refused(Append { epoch: Epoch(2), ..good.clone() }).await;
    assert!(matches!(ahead, AppendError::Cold | AppendError::StaleEpoch), "the room is loaded again, either way");
    let stale = refused(Append { epoch: Epoch(0), ..good.clone() }).await;
    assert!(matches!(stale, AppendError::StaleEpoch));
    assert!(matches!(refused(Append { state_seq: Sequence(1), ..good.clone() }).await, AppendError::Behind));
    assert_eq!(room.head().await, head);
    // A message that the room has not applied is no reason to refuse, and the key was not used up.
    let taken = room.log.append(Append { known_seq: Sequence(2), ..good.clone() }).await.expect("it is appended");
    assert_eq!(appended(&taken[0]).seq, 4);
    // Whoever has applied more than there is has seen what was lost: a cluster opens the log anew before it says so.
    assert!(matches!(refused(Append { known_seq: Sequence(5), ..good }).await, AppendError::Cold));
    assert_eq!(room.head().await.position.seq, Sequence(4));
}

async fn concurrent_batches_get_one_order(subject: Box<dyn Subject>) {
    let stores = subject.stores();
    let rooms = [Room::create(&stores, 7, "seven").await, Room::create(&stores, 8, "eight").await];
    let batches = (0..40).map(|number| {
        let room = &rooms[number % 2];
        async move {
            let texts = (0..5).map(|part| room.event(1, None, message(&format!("{number}/{part}"))));
            room.append(texts.collect()).await.expect("it is appended")
        }
    });
    let outcomes = join_all(batches).await;
    for room in &rooms {
        let tail = room.tail().await;
        assert!(tail.iter().map(|event| event.seq).eq(1..=101), "dense");
        assert!(tail[1..].iter().map(|event| event.ordinal).eq((1..=100).map(Some)));
        let mut placed: Vec<_> = outcomes.iter().flatten().map(appended).filter(|e| e.room == room.id.get()).collect();
        placed.sort_by_key(|event| event.seq);
        assert!(placed.into_iter().eq(&tail[1..]), "everybody was told where their event stands");
    }
    assert!(outcomes.iter().all(|batch| batch.windows(2).all(|w| appended(&w[0]).seq + 1 == appended(&w[1]).seq)));
}
