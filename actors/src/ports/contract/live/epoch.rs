use bobchat_proto::ids::{Epoch, Sequence};

use super::scenario::{Room, head};
use super::{LiveSubject, MakeLive};
use crate::ports::contract::scenario::{joined, message};
use crate::ports::{FenceError, Incarnation, LiveRefusal};

pub(super) async fn cases(make: MakeLive<'_>) {
    a_log_is_cold_until_it_is_opened(make().await).await;
    a_fence_returns_everything_and_blocks_appends(make().await).await;
    a_fence_yields_to_newer_ones_alone(make().await).await;
    opening_needs_its_fence_on_the_same_incarnation(make().await).await;
    opening_twice_loses_nothing(make().await).await;
    an_opened_log_goes_on_where_it_was_told(make().await).await;
    rooms_have_epochs_of_their_own(make().await).await;
}

fn superseded(result: Result<impl Sized, FenceError>) -> Option<Epoch> {
    match result.map(|_| ()) {
        Err(FenceError::Superseded(epoch)) => Some(epoch),
        Ok(()) | Err(FenceError::Unavailable(_)) => None,
    }
    .expect("another epoch stands")
}

async fn a_log_is_cold_until_it_is_opened(subject: Box<dyn LiveSubject>) {
    let room = Room::cold(&*subject, 7);
    room.assert_cold(Epoch(1)).await;
    assert!(room.fence(Epoch(1)).await.events.is_empty());
    room.assert_cold(Epoch(1)).await;
    room.raise(head(1, 0)).await;
    assert_eq!(room.head().await.position.seq, Sequence::ZERO);
    assert!(room.tail().await.is_empty());
}

async fn a_fence_returns_everything_and_blocks_appends(subject: Box<dyn LiveSubject>) {
    let room = Room::open(&*subject, 7).await;
    room.say("one").await;
    room.add(2, joined(2)).await;
    room.say("three").await;
    let events = room.tail().await;
    let batch = room.batch(vec![room.event(1, None, message("too late"))]).await;
    let fenced = room.fence(Epoch(2)).await;
    assert_eq!(fenced.events, events);
    assert_eq!(fenced.incarnation, room.fence(Epoch(2)).await.incarnation);
    assert!(matches!(room.log.append(batch).await, Err(LiveRefusal::Cold)));
    room.assert_cold(Epoch(1)).await;
    room.assert_cold(Epoch(2)).await;
    assert_eq!(room.fence(Epoch(2)).await.events, events, "it may be asked for again");
}

async fn a_fence_yields_to_newer_ones_alone(subject: Box<dyn LiveSubject>) {
    let room = Room::open(&*subject, 7).await;
    assert_eq!(superseded(room.log.fence(room.id, Epoch(1)).await), Some(Epoch(1)), "the log is open under it");
    room.say("hello").await;
    let old = room.fence(Epoch(2)).await;
    let new = room.fence(Epoch(4)).await;
    assert_eq!(superseded(room.log.fence(room.id, Epoch(3)).await), Some(Epoch(4)));
    let opening = room.opening(head(2, 1), old.incarnation);
    assert_eq!(superseded(room.log.open(opening).await), Some(Epoch(4)));
    room.log.open(room.opening(head(4, 1), new.incarnation)).await.expect("the newest opens");
    assert_eq!(superseded(room.log.fence(room.id, Epoch(4)).await), Some(Epoch(4)));
}

async fn opening_needs_its_fence_on_the_same_incarnation(subject: Box<dyn LiveSubject>) {
    let room = Room::cold(&*subject, 7);
    let other = Room::open(&*subject, 8).await;
    let incarnation = other.fence(Epoch(2)).await.incarnation;
    superseded(room.log.open(room.opening(head(2, 0), incarnation.clone())).await);
    room.fence(Epoch(2)).await;
    superseded(room.log.open(room.opening(head(2, 0), Incarnation("another".to_owned()))).await);
    superseded(room.log.open(room.opening(head(3, 0), incarnation.clone())).await);
    room.assert_cold(Epoch(2)).await;
    let incarnation = room.fence(Epoch(2)).await.incarnation;
    room.log.open(room.opening(head(2, 0), incarnation)).await.expect("the fence stands");
}

async fn opening_twice_loses_nothing(subject: Box<dyn LiveSubject>) {
    let room = Room::cold(&*subject, 7);
    let fenced = room.fence(Epoch(2)).await;
    let opening = room.opening(head(2, 5), fenced.incarnation);
    room.log.open(opening.clone()).await.expect("the log opens");
    let event = room.say("hello").await;
    assert_eq!(superseded(room.log.open(opening).await), Some(Epoch(2)));
    assert_eq!(room.tail().await, [event]);
}

async fn an_opened_log_goes_on_where_it_was_told(subject: Box<dyn LiveSubject>) {
    let room = Room::open(&*subject, 7).await;
    for _ in 0..3 {
        room.say("old").await;
    }
    let mut opened = head(3, 900);
    (opened.at, opened.ordinal.0, opened.state_seq) = (1_000, 700, Sequence(800));
    room.raise(opened).await;
    let live = room.live_head().await;
    assert_eq!((live.head, live.archived, live.closed), (opened, Sequence(900), false));
    assert!(room.tail().await.is_empty(), "everything before is stored");
    assert!(!room.log.unarchived(10).await.expect("they are read").contains(&room.id));
    let event = room.say("new").await;
    assert_eq!((event.epoch, event.seq, event.ordinal), (3, 901, Some(701)));
    assert!(event.at > 1_000);
    assert_eq!(room.head().await.state_seq, Sequence(800));
}

async fn rooms_have_epochs_of_their_own(subject: Box<dyn LiveSubject>) {
    let (room, other) = (Room::open(&*subject, 7).await, Room::open(&*subject, 8).await);
    other.fence(Epoch(2)).await;
    assert_eq!(room.say("hello").await.epoch, 1);
    other.assert_cold(Epoch(1)).await;
}
