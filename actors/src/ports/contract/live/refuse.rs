use std::time::Duration;

use bobchat_proto::ids::{Epoch, Sequence};

use super::scenario::{Room, WIDE, head};
use super::{LiveSubject, MakeLive};
use crate::ports::contract::scenario::{appended, joined, message};
use crate::ports::{Append, LiveAppend, LiveBounds, LiveRefusal, Opening};

pub(super) async fn cases(make: MakeLive<'_>) {
    what_is_out_of_date_is_refused_and_nothing_added(make().await).await;
    a_closed_room_takes_salvage_alone(make().await).await;
    a_log_that_was_just_opened_takes_salvage_alone(make().await).await;
    a_log_is_full_by_events_and_by_bytes(make().await).await;
}

/// A batch of two that is up to date, for a room with a state.
async fn good(room: &Room) -> LiveAppend {
    let events = vec![room.event(1, Some("one"), message("late")), room.event(1, Some("two"), message("later"))];
    room.batch(events).await
}

async fn refusal(room: &Room, batch: LiveAppend) -> LiveRefusal {
    let before = (room.live_head().await, room.tail().await);
    let refusal = room.log.append(batch).await.expect_err("it is refused");
    assert_eq!((room.live_head().await, room.tail().await), before, "all of it or nothing");
    refusal
}

/// Rule 6.
async fn what_is_out_of_date_is_refused_and_nothing_added(subject: Box<dyn LiveSubject>) {
    let room = Room::open(&*subject, 7).await;
    room.raise(head(2, 0)).await;
    room.add(2, joined(2)).await;
    room.say("hello").await;
    let good = good(&room).await;
    let with = |append: Append| LiveAppend { append, ..good.clone() };
    let append = good.append.clone();
    let cold = refusal(&room, with(Append { epoch: Epoch(3), ..append.clone() })).await;
    assert!(matches!(cold, LiveRefusal::Cold), "{cold:?}");
    let newer = refusal(&room, with(Append { epoch: Epoch(1), ..append.clone() })).await;
    assert!(matches!(newer, LiveRefusal::NewerEpoch(Epoch(2))), "{newer:?}");
    let stale = refusal(&room, with(Append { known_seq: Sequence(3), ..append.clone() })).await;
    assert!(matches!(stale, LiveRefusal::Stale), "{stale:?}");
    let behind = refusal(&room, with(Append { state_seq: Sequence(0), ..append.clone() })).await;
    assert!(matches!(behind, LiveRefusal::Behind), "{behind:?}");
    let expired = refusal(&room, LiveAppend { deadline: 1, ..good.clone() }).await;
    assert!(matches!(expired, LiveRefusal::Expired), "{expired:?}");
    // Messages that the author has not seen are no reason to refuse, and no key was used up.
    let taken = room.log.append(with(Append { known_seq: Sequence(1), ..append })).await.expect("it is appended");
    assert_eq!(taken.outcomes.iter().map(|outcome| appended(outcome).seq).collect::<Vec<_>>(), [3, 4]);
}

async fn a_closed_room_takes_salvage_alone(subject: Box<dyn LiveSubject>) {
    let room = Room::open(&*subject, 7).await;
    room.say("last").await;
    subject.close(room.id).await;
    assert!(room.live_head().await.closed);
    let batch = good(&room).await;
    let closed = refusal(&room, batch.clone()).await;
    assert!(matches!(closed, LiveRefusal::Closed), "{closed:?}");
    let salvaged = room.log.append(LiveAppend { salvage: true, ..batch }).await.expect("it is appended");
    assert_eq!(appended(&salvaged.outcomes[1]).seq, 3);
    room.raise(head(2, 3)).await;
    assert!(room.live_head().await.closed, "a new epoch opens no room");
}

/// Rules 6 and 14 f.
async fn a_log_that_was_just_opened_takes_salvage_alone(subject: Box<dyn LiveSubject>) {
    let room = Room::cold(&*subject, 7);
    let fenced = room.fence(Epoch(2)).await;
    let mut opened = head(2, 5);
    opened.state_seq = Sequence(4);
    let opening = Opening { salvage_for: Duration::from_secs(3600), ..room.opening(opened, fenced.incarnation) };
    room.log.open(opening).await.expect("it opens");
    let batch = good(&room).await;
    let opening = refusal(&room, batch.clone()).await;
    assert!(matches!(opening, LiveRefusal::Opening), "{opening:?}");
    // It was decided when it was first appended, on the state of then.
    let old = Append { state_seq: Sequence(2), ..batch.append };
    let salvage = LiveAppend { append: old, salvage: true, ..batch };
    let salvaged = room.log.append(salvage).await.expect("it is appended");
    assert_eq!(appended(&salvaged.outcomes[0]).seq, 6);
}

/// Rule 6.
async fn a_log_is_full_by_events_and_by_bytes(subject: Box<dyn LiveSubject>) {
    let room = Room::open(&*subject, 7).await;
    let first = room.say(&"x".repeat(1000)).await;
    room.say("second").await;
    let good = good(&room).await;
    for bounds in [LiveBounds { events: 2, ..WIDE }, LiveBounds { bytes: 1001, ..WIDE }] {
        let full = refusal(&room, LiveAppend { bounds, ..good.clone() }).await;
        assert!(matches!(full, LiveRefusal::Full { .. }), "{full:?}");
    }
    // What is archived does not count any more.
    room.log.advance(room.id, first.position()).await.expect("it advances");
    let narrow = LiveAppend { bounds: LiveBounds { events: 2, bytes: 1001 }, ..good };
    let done = room.log.append(narrow).await.expect("it is appended");
    assert_eq!((done.archived, appended(&done.outcomes[1]).seq), (Sequence(1), 4));
}
