use bobchat_proto::ids::Epoch;

use super::scenario::{Room, head};
use super::{LiveLoss, LiveSubject, MakeLive};
use crate::ports::contract::scenario::{message, room};
use crate::ports::{FenceError, LiveRefusal};

const ROOM: u64 = 7;

pub(super) async fn cases(make: MakeLive<'_>) {
    for loss in [LiveLoss::Restart, LiveLoss::RestartEmpty, LiveLoss::Flush, LiveLoss::Room(room(ROOM))] {
        a_log_is_cold_after_a_loss_until_it_is_raised(make().await, loss).await;
    }
    a_fence_does_not_outlive_the_incarnation(make().await).await;
}

async fn a_log_is_cold_after_a_loss_until_it_is_raised(mut subject: Box<dyn LiveSubject>, loss: LiveLoss) {
    let (events, batch, before) = {
        let room = Room::open(&*subject, ROOM).await;
        room.say("one").await;
        room.say("two").await;
        let batch = room.batch(vec![room.event(1, Some("k"), message("three"))]).await;
        (room.tail().await, batch, room.log.incarnation().await.expect("it is read"))
    };
    subject.lose(loss).await;
    let room = Room::cold(&*subject, ROOM);
    let after = room.log.incarnation().await.expect("it is read");
    assert_eq!(before != after, matches!(loss, LiveLoss::Restart | LiveLoss::RestartEmpty), "{loss:?}");
    let refusal = room.log.append(batch.clone()).await.expect_err("it is refused");
    assert!(matches!(refusal, LiveRefusal::Cold), "{loss:?}: {refusal:?}");
    room.assert_cold(Epoch(1)).await;

    let fenced = room.fence(Epoch(2)).await;
    let left = if loss == LiveLoss::Restart { events } else { Vec::new() };
    assert_eq!(fenced.events, left, "{loss:?}");
    room.log.open(room.opening(head(2, 2), fenced.incarnation)).await.expect("the log opens");
    let old = room.log.append(batch).await.expect_err("it is refused");
    assert!(matches!(old, LiveRefusal::NewerEpoch(Epoch(2))), "{loss:?}: {old:?}");
    let next = room.say("three").await;
    assert_eq!((next.epoch, next.seq), (2, 3), "{loss:?}");
    assert_eq!(room.tail().await, [next], "{loss:?}");
}

async fn a_fence_does_not_outlive_the_incarnation(mut subject: Box<dyn LiveSubject>) {
    let opening = {
        let room = Room::open(&*subject, ROOM).await;
        let fenced = room.fence(Epoch(2)).await;
        room.opening(head(2, 0), fenced.incarnation)
    };
    subject.lose(LiveLoss::Restart).await;
    let room = Room::cold(&*subject, ROOM);
    let refused = room.log.open(opening).await.expect_err("another life was fenced");
    assert!(matches!(refused, FenceError::Superseded(_)), "{refused:?}");
    room.assert_cold(Epoch(2)).await;
    room.raise(head(3, 0)).await;
}
