use bobchat_proto::ids::{EventId, Ordinal};
use bobchat_proto::wire;

use super::scenario::{Room, head};
use super::{LiveSubject, MakeLive};
use crate::ports::contract::scenario::{appended, joined, message};
use crate::ports::{Outcome, Placement};

pub(super) async fn cases(make: MakeLive<'_>) {
    a_repeated_key_adds_nothing_and_says_where_it_stands(make().await).await;
    a_key_belongs_to_its_room_and_author(make().await).await;
    keys_count_within_one_batch(make().await).await;
    an_identifier_beyond_doubles_is_remembered(make().await).await;
    opening_forgets_keys(make().await).await;
}

fn placement(event: &wire::Event) -> Placement {
    let id = EventId::new(event.id).expect("an event's identifier");
    Placement { position: event.position(), ordinal: event.ordinal.map(Ordinal), id, at: event.at }
}

async fn a_repeated_key_adds_nothing_and_says_where_it_stands(subject: Box<dyn LiveSubject>) {
    let room = Room::open(&*subject, 7).await;
    let first = room.append_one(room.event(1, Some("k"), message("hello"))).await;
    room.say("between").await;
    let head = room.head().await;
    let again = room.append_one(room.event(1, Some("k"), message("hello"))).await;
    assert_eq!(again, Outcome::Repeated(placement(appended(&first))), "the first identifier too");
    let other = room.append_one(room.event(1, Some("k"), message("other"))).await;
    assert_eq!(other, Outcome::Conflict);
    assert_eq!(room.head().await, head);
}

async fn a_key_belongs_to_its_room_and_author(subject: Box<dyn LiveSubject>) {
    let (room, other) = (Room::open(&*subject, 7).await, Room::open(&*subject, 8).await);
    room.append_one(room.event(1, Some("k"), message("hello"))).await;
    for outcome in [
        room.append_one(room.event(2, Some("k"), message("other"))).await,
        room.append_one(room.event(1, Some("k2"), message("other"))).await,
        room.append_one(room.event(1, None, message("hello"))).await,
        room.append_one(room.event(1, None, message("hello"))).await,
        other.append_one(other.event(1, Some("k"), message("other"))).await,
    ] {
        appended(&outcome);
    }
}

async fn keys_count_within_one_batch(subject: Box<dyn LiveSubject>) {
    let room = Room::open(&*subject, 7).await;
    room.append_one(room.event(1, Some("old"), message("old"))).await;
    let batch = [("a", "one"), ("a", "one"), ("old", "new"), ("a", "two"), ("b", "three")];
    let events = batch.map(|(key, text)| room.event(1, Some(key), message(text)));
    let outcomes = room.append(events.to_vec()).await.expect("it is appended").outcomes;
    assert_eq!(appended(&outcomes[0]).seq, 2);
    assert_eq!(outcomes[1], Outcome::Repeated(placement(appended(&outcomes[0]))));
    assert_eq!(outcomes[2..4], [Outcome::Conflict, Outcome::Conflict]);
    assert_eq!((appended(&outcomes[4]).seq, appended(&outcomes[4]).ordinal), (3, Some(3)));
    assert_eq!(room.tail().await.len(), 3);
}

/// Rule 7: Lua's numbers would not hold it.
async fn an_identifier_beyond_doubles_is_remembered(subject: Box<dyn LiveSubject>) {
    let room = Room::open(&*subject, 7).await;
    let id = (1 << 53) + 1;
    for body in [message("hello"), joined(3)] {
        let mut new = room.event(u64::MAX >> 1, Some(&format!("{id}{body:?}")), body);
        (new.event.id, new.body_hash) = (id, (1 << 53) + 1);
        let first = room.append_one(new.clone()).await;
        let again = room.append_one(new.clone()).await;
        assert_eq!(again, Outcome::Repeated(placement(appended(&first))));
        new.body_hash -= 1;
        assert_eq!(room.append_one(new).await, Outcome::Conflict, "the same double");
    }
}

async fn opening_forgets_keys(subject: Box<dyn LiveSubject>) {
    let room = Room::open(&*subject, 7).await;
    room.append_one(room.event(1, Some("k"), message("hello"))).await;
    room.raise(head(2, 1)).await;
    let anew = room.append_one(room.event(1, Some("k"), message("other"))).await;
    assert_eq!(appended(&anew).seq, 2, "whether it is known is read from the store before");
}
