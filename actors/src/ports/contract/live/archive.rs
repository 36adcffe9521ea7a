use std::time::Duration;

use bobchat_proto::ids::{Epoch, Position, Sequence};

use super::scenario::{Room, head};
use super::{LiveSubject, MakeLive};
use crate::ports::AdvanceError;
use crate::ports::contract::scenario::{appended, message, room};

pub(super) async fn cases(make: MakeLive<'_>) {
    what_is_archived_is_let_go_of_but_for_a_tail(make().await).await;
    a_dead_epoch_and_what_is_not_there_are_refused(make().await).await;
    advancing_again_or_less_changes_nothing(make().await).await;
    rooms_with_unarchived_events_are_found(make().await).await;
    a_room_is_claimed_by_one_at_a_time(make().await).await;
    the_time_is_that_of_what_is_appended(make().await).await;
}

/// Rule 19.
async fn a_room_is_claimed_by_one_at_a_time(subject: Box<dyn LiveSubject>) {
    let log = subject.log();
    let claim = |raw, holder, lasts| {
        let log = log.clone();
        async move { log.claim(room(raw), holder, lasts).await.expect("it answers") }
    };
    let (long, short) = (Duration::from_secs(3600), Duration::from_millis(1));
    assert!(claim(7, u64::MAX, long).await && claim(7, u64::MAX, long).await);
    assert!(!claim(7, 2, long).await, "it is another's");
    assert!(claim(8, 2, long).await, "another room");
    assert!(claim(7, u64::MAX, short).await, "the holder may shorten it");
    subject.pass(Duration::from_millis(20)).await;
    assert!(claim(7, 2, long).await, "it has ended");
    assert!(!claim(7, u64::MAX, long).await);
}

async fn the_time_is_that_of_what_is_appended(subject: Box<dyn LiveSubject>) {
    let room = Room::open(&*subject, 7).await;
    let before = room.log.time().await.expect("it answers");
    let at = room.say("now").await.at;
    let after = room.log.time().await.expect("it answers");
    assert!((before..=after).contains(&at), "{before} {at} {after}");
}

fn position(epoch: u64, seq: u64) -> Position {
    Position { epoch: Epoch(epoch), seq: Sequence(seq) }
}

async fn fill(room: &Room, events: u64) {
    let batch = (0..events).map(|_| room.event(1, None, message("hello"))).collect();
    let done = room.append(batch).await.expect("it is appended");
    assert!(done.outcomes.iter().all(|outcome| appended(outcome).epoch > 0));
}

async fn what_is_archived_is_let_go_of_but_for_a_tail(subject: Box<dyn LiveSubject>) {
    let room = Room::open(&*subject, 7).await;
    fill(&room, 1_000).await;
    let head = room.head().await;
    room.log.advance(room.id, position(1, 600)).await.expect("it advances");
    let live = room.live_head().await;
    assert_eq!((live.head, live.archived), (head, Sequence(600)));
    let tail = room.tail().await;
    assert!(tail.iter().map(|event| event.seq).eq(tail[0].seq..=1_000), "dense");
    assert!((300..=601).contains(&tail[0].seq), "what is not archived is there, little else: {}", tail[0].seq);
    room.log.advance(room.id, position(1, 1_000)).await.expect("it advances");
    assert!(room.tail().await.len() < 300);
    let next = room.say("goes on").await;
    assert_eq!((next.seq, next.ordinal), (1_001, Some(1_001)));
}

/// Rule 20.
async fn a_dead_epoch_and_what_is_not_there_are_refused(subject: Box<dyn LiveSubject>) {
    let room = Room::open(&*subject, 7).await;
    fill(&room, 200).await;
    room.raise(head(2, 100)).await;
    fill(&room, 200).await;
    let before = (room.live_head().await, room.tail().await);
    for refused in [position(1, 200), position(3, 200), position(2, 301)] {
        let result = room.log.advance(room.id, refused).await;
        assert!(matches!(result, Err(AdvanceError::Refused)), "{refused:?}: {result:?}");
    }
    let absent = Room::cold(&*subject, 8);
    assert!(matches!(room.log.advance(absent.id, position(1, 0)).await, Err(AdvanceError::Refused)));
    assert_eq!((room.live_head().await, room.tail().await), before);
}

async fn advancing_again_or_less_changes_nothing(subject: Box<dyn LiveSubject>) {
    let room = Room::open(&*subject, 7).await;
    fill(&room, 200).await;
    room.log.advance(room.id, position(1, 150)).await.expect("it advances");
    let before = (room.live_head().await, room.tail().await);
    for seq in [150, 100, 0] {
        room.log.advance(room.id, position(1, seq)).await.expect("it may be done again");
        assert_eq!((room.live_head().await, room.tail().await), before);
    }
}

async fn rooms_with_unarchived_events_are_found(subject: Box<dyn LiveSubject>) {
    let mut rooms = Vec::new();
    for raw in 1..=20 {
        rooms.push(Room::open(&*subject, raw << 22).await);
    }
    let log = subject.log();
    assert!(log.unarchived(100).await.expect("they are read").is_empty());
    for room in &rooms[..10] {
        fill(room, 2).await;
    }
    for room in &rooms[..5] {
        log.advance(room.id, position(1, 2)).await.expect("it advances");
    }
    log.advance(rooms[5].id, position(1, 1)).await.expect("it advances");
    let mut found = log.unarchived(100).await.expect("they are read");
    found.sort();
    assert!(found.iter().eq(rooms[5..10].iter().map(|room| &room.id)), "{found:?}");
    let some = log.unarchived(3).await.expect("they are read");
    assert!(some.len() == 3 && some.iter().all(|room| found.contains(room)), "{some:?}");
    assert!(log.unarchived(0).await.expect("they are read").is_empty());
}
