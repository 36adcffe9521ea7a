use std::time::Duration;

use bobchat_proto::ids::{EventId, Ordinal};
use bobchat_proto::limits::KEY_LIFETIME;
use bobchat_proto::wire;

use super::scenario::{Room, appended, created, message};
use super::{Make, Subject};
use crate::ports::{NewEvent, Outcome, Placement};

pub(super) async fn cases(make: Make<'_>) {
    a_repeated_key_adds_nothing_and_says_where_it_stands(make()).await;
    a_key_belongs_to_its_room_and_author(make()).await;
    keys_count_within_one_batch(make()).await;
    keys_are_honoured_for_24_hours_across_restarts(make()).await;
    a_repeated_creation_stands_where_it_stood(make()).await;
}

fn placement(event: &wire::Event) -> Placement {
    let id = EventId::new(event.id).expect("an event's identifier");
    Placement { position: event.position(), ordinal: event.ordinal.map(Ordinal), id, at: event.at }
}

async fn append_one(room: &Room, new: NewEvent) -> Outcome {
    room.append(vec![new]).await.expect("it is appended").remove(0)
}

async fn a_repeated_key_adds_nothing_and_says_where_it_stands(subject: Box<dyn Subject>) {
    let room = Room::create(&subject.stores(), 7, "seven").await;
    let first = append_one(&room, room.event(1, Some("k"), message("hello"))).await;
    room.say(1, "between").await;
    let head = room.head().await;
    let again = append_one(&room, room.event(1, Some("k"), message("hello"))).await;
    assert_eq!(again, Outcome::Repeated(placement(appended(&first))), "the first identifier too");
    let other = append_one(&room, room.event(1, Some("k"), message("other"))).await;
    assert_eq!(other, Outcome::Conflict);
    assert_eq!(room.head().await, head);
}

async fn a_key_belongs_to_its_room_and_author(subject: Box<dyn Subject>) {
    let stores = subject.stores();
    let (room, other) = (Room::create(&stores, 7, "seven").await, Room::create(&stores, 8, "eight").await);
    append_one(&room, room.event(1, Some("k"), message("hello"))).await;
    for outcome in [
        append_one(&room, room.event(2, Some("k"), message("other"))).await,
        append_one(&room, room.event(1, Some("k2"), message("other"))).await,
        append_one(&room, room.event(1, None, message("hello"))).await,
        append_one(&room, room.event(1, None, message("hello"))).await,
        append_one(&other, other.event(1, Some("k"), message("other"))).await,
    ] {
        appended(&outcome);
    }
}

async fn keys_count_within_one_batch(subject: Box<dyn Subject>) {
    let room = Room::create(&subject.stores(), 7, "seven").await;
    append_one(&room, room.event(1, Some("old"), message("old"))).await;
    let batch = [("a", "one"), ("a", "one"), ("old", "new"), ("a", "two"), ("b", "three")];
    let events = batch.map(|(key, text)| room.event(1, Some(key), message(text)));
    let outcomes = room.append(events.to_vec()).await.expect("it is appended");
    assert_eq!(appended(&outcomes[0]).seq, 3);
    assert_eq!(outcomes[1], Outcome::Repeated(placement(appended(&outcomes[0]))));
    assert_eq!(outcomes[2..4], [Outcome::Conflict, Outcome::Conflict]);
    assert_eq!(appended(&outcomes[4]).seq, 4);
    assert_eq!(room.tail().await.len(), 4);
}

async fn keys_are_honoured_for_24_hours_across_restarts(mut subject: Box<dyn Subject>) {
    let first = {
        let room = Room::create(&subject.stores(), 7, "seven").await;
        append_one(&room, room.event(1, Some("k"), message("hello"))).await
    };
    subject.reopen();
    let room = Room::open(&subject.stores(), 7).await;
    let placed_at = appended(&first).at;
    let lifetime = i64::try_from(KEY_LIFETIME.as_micros()).expect("it fits");
    subject.clock().set(placed_at + lifetime - 1);
    let again = append_one(&room, room.event(1, Some("k"), message("hello"))).await;
    assert_eq!(again, Outcome::Repeated(placement(appended(&first))));
    subject.clock().advance(Duration::from_micros(1));
    if !subject.forgets_keys_in_time() {
        return;
    }
    let anew = append_one(&room, room.event(1, Some("k"), message("anew"))).await;
    assert_eq!(appended(&anew).seq, 3, "an old key counts as unused");
    let again = append_one(&room, room.event(1, Some("k"), message("anew"))).await;
    assert_eq!(again, Outcome::Repeated(placement(appended(&anew))));
}

async fn a_repeated_creation_stands_where_it_stood(subject: Box<dyn Subject>) {
    let room = Room::open(&subject.stores(), 7).await;
    let body = || created("seven", wire::RoomKind::Private);
    let first = append_one(&room, room.event(1, Some("create"), body())).await;
    let again = append_one(&room, room.event(1, Some("create"), body())).await;
    assert_eq!(again, Outcome::Repeated(placement(appended(&first))));
    assert_eq!(appended(&first).seq, 1);
}
