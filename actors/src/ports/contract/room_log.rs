use bobchat_proto::ids::{Epoch, Ordinal, Position, Sequence};

use super::scenario::{Room, joined, room};
use super::{Make, Subject, append, keys};
use crate::ports::Head;

/// Checks what [`RoomLog`](crate::ports::RoomLog) promises.
pub async fn room_log(make: Make<'_>) {
    opening_makes_an_empty_log_once(make()).await;
    a_room_without_a_log_has_no_head_and_no_tail(make()).await;
    the_head_follows_the_log(make()).await;
    the_tail_is_what_comes_after(make()).await;
    everything_is_there_after_reopening(make()).await;
    append::cases(make).await;
    keys::cases(make).await;
}

async fn opening_makes_an_empty_log_once(subject: Box<dyn Subject>) {
    let log = subject.stores().log;
    let head = log.open(room(7)).await.expect("it opens");
    assert_eq!(head.position, Position { epoch: Epoch::FIRST, seq: Sequence::ZERO });
    assert_eq!((head.at, head.ordinal, head.state_seq), (0, Ordinal(0), Sequence::ZERO));
    let room = Room::open(&subject.stores(), 7).await;
    room.say(1, "hello").await;
    assert_eq!(log.open(room.id).await.expect("it opens again"), room.head().await);
}

async fn a_room_without_a_log_has_no_head_and_no_tail(subject: Box<dyn Subject>) {
    let log = subject.stores().log;
    assert_eq!(log.head(room(7)).await.expect("it is read"), None);
    assert!(log.tail(room(7), Sequence::ZERO, 10).await.expect("it is read").is_empty());
}

/// Log protocol, rule 4: `state_seq` is that of the joining.
async fn the_head_follows_the_log(subject: Box<dyn Subject>) {
    let room = Room::create(&subject.stores(), 7, "seven").await;
    room.say(1, "one").await;
    room.add(2, joined(2)).await;
    let last = room.say(2, "two").await;
    let expected = Head { position: last.position(), at: last.at, ordinal: Ordinal(2), state_seq: Sequence(3) };
    assert_eq!(room.head().await, expected);
    assert_eq!(last.position(), Position { epoch: Epoch::FIRST, seq: Sequence(4) });
}

async fn the_tail_is_what_comes_after(subject: Box<dyn Subject>) {
    let stores = subject.stores();
    let (room, other) = (Room::create(&stores, 7, "seven").await, Room::create(&stores, 8, "eight").await);
    let mut events = room.tail().await;
    for number in 2..=9 {
        other.say(1, "elsewhere").await;
        let body = if number % 3 == 0 { joined(number) } else { super::scenario::message("here") };
        events.push(room.add(1, body).await);
    }
    assert_eq!(room.tail().await, events);
    for (after, limit) in [(0, 3), (4, 2), (4, 100), (9, 5), (100, 5), (0, 0)] {
        let tail = room.log.tail(room.id, Sequence(after), limit).await.expect("the tail is read");
        let expected: Vec<_> = events.iter().filter(|event| event.seq > after).take(limit).cloned().collect();
        assert_eq!(tail, expected, "after {after}, at most {limit}");
    }
}

async fn everything_is_there_after_reopening(mut subject: Box<dyn Subject>) {
    let (events, head) = {
        let room = Room::create(&subject.stores(), 7, "seven").await;
        room.say(1, "one").await;
        (room.tail().await, room.head().await)
    };
    subject.reopen();
    let room = Room::open(&subject.stores(), 7).await;
    assert_eq!((room.tail().await, room.head().await), (events, head));
    let next = room.say(1, "two").await;
    assert_eq!((next.seq, next.ordinal), (3, Some(2)));
    assert!(next.at > head.at);
}
