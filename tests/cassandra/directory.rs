//! What the contract of the directory cannot see: the rows, and nodes that died between two of them.

use bobchat::adapters::cassandra::CassandraStore;
use bobchat_actors::ports::contract::BEGIN_MICROS;
use bobchat_actors::ports::{Directory, EventStore, Head, Raiser, Span, StoredEvent};
use bobchat_proto::ids::{Epoch, Ordinal, Position, RoomId, Sequence, UserId};
use bobchat_proto::record::User;
use bobchat_proto::wire::{self, RoomKind, RoomSettings, event::Body};
use scylla::client::session::Session;

use crate::support::{look, new_keyspace, open, options};

fn room() -> RoomId {
    RoomId::new(7).unwrap()
}

fn user(raw: u64) -> UserId {
    UserId::new(raw).unwrap()
}

fn change(seq: u64, body: Body) -> StoredEvent {
    let event =
        wire::Event { room: 7, epoch: 1, seq, id: seq, author: 5, at: 9, body: Some(body), ..Default::default() };
    StoredEvent { event, body_hash: 3, renumbered: false }
}

fn created() -> StoredEvent {
    let settings = RoomSettings { name: "room".to_owned(), kind: RoomKind::Public as i32, ..RoomSettings::default() };
    change(1, Body::Created(wire::RoomCreated { settings: Some(settings) }))
}

fn joined(seq: u64, user: u64) -> StoredEvent {
    change(seq, Body::Joined(wire::MemberJoined { user }))
}

async fn begin(store: &CassandraStore) {
    store.raise(room(), None, Raiser(1)).await.unwrap();
    assert!(store.begin(room(), Span::FIRST, Raiser(1)).await.unwrap());
}

async fn note(store: &CassandraStore, seq: u64) {
    let position = Position { epoch: Epoch(1), seq: Sequence(seq) };
    store.note_head(room(), Head { position, at: 9, ordinal: Ordinal(0), state_seq: Sequence(seq) }).await.unwrap();
}

async fn number(session: &Session, query: &str) -> i64 {
    let rows = session.query_unpaged(query, ()).await.unwrap().into_rows_result().unwrap();
    rows.single_row::<(i64,)>().expect(query).0
}

/// Rule 19: the row that says "stored" is missing, all else is there. The same again makes it whole.
#[tokio::test]
async fn a_node_that_died_before_the_last_row_leaves_nothing_wrong() {
    let keyspace = new_keyspace();
    let store = open(&options(&keyspace)).await;
    let session = look(&keyspace).await;
    begin(&store).await;
    let events = vec![created(), joined(2, 6), change(3, Body::Left(wire::MemberLeft { user: 6 })), joined(4, 6)];
    store.store(room(), events.clone()).await.unwrap();
    let known = async || (store.room(room()).await.unwrap(), store.members(room(), None, 10).await.unwrap());
    let before = known().await;
    assert_eq!(before.1.len(), 2);
    session.query_unpaged("TRUNCATE events", ()).await.unwrap();
    assert_eq!(known().await, before, "what was projected may be ahead of what is stored");
    store.store(room(), events.clone()).await.unwrap();
    assert_eq!(store.stored(room(), Sequence(1), 10).await.unwrap(), events);
    assert_eq!(known().await, before);
    note(&store, 4).await;
    let (row, members) = known().await;
    assert_eq!((row.unwrap().room, members), (before.0.unwrap().room, before.1));
}

/// Rule 19.
#[tokio::test]
async fn what_is_derived_is_ordered_by_position() {
    let keyspace = new_keyspace();
    let store = open(&options(&keyspace)).await;
    let session = look(&keyspace).await;
    begin(&store).await;
    store.store(room(), vec![created(), joined(2, 6), joined(3, 6), joined(4, 8)]).await.unwrap();
    note(&store, 4).await;
    for (query, seq) in [
        ("SELECT WRITETIME(event) FROM changes WHERE room = 7 AND bucket = 0 AND seq = 3", 3),
        ("SELECT WRITETIME(changed) FROM room_head WHERE room = 7", 4),
        ("SELECT WRITETIME(members) FROM room_head WHERE room = 7", 4),
        ("SELECT WRITETIME(changed) FROM rooms_of WHERE user = 6 AND room = 7", 3),
        // The last change of a membership is the last that changed anything.
        ("SELECT WRITETIME(membership) FROM rooms_of WHERE user = 6 AND room = 7", 2),
        ("SELECT WRITETIME(membership) FROM memberships WHERE room = 7 AND part = 0 AND user = 6", 2),
    ] {
        assert_eq!(number(&session, query).await, (1 << 40) + seq, "{query}");
    }
}

#[tokio::test]
async fn memberships_of_a_large_room_are_divided() {
    let keyspace = new_keyspace();
    let store = open(&options(&keyspace)).await;
    let session = look(&keyspace).await;
    begin(&store).await;
    store.store(room(), vec![created()]).await.unwrap();
    for first in (2..=14_001).step_by(500) {
        let last = 14_001.min(first + 499);
        store.store(room(), (first..=last).map(|seq| joined(seq, 1_000 + seq)).collect()).await.unwrap();
        note(&store, last).await;
    }
    let count = async |part: i32| {
        number(&session, &format!("SELECT COUNT(*) FROM memberships WHERE room = 7 AND part = {part}")).await
    };
    let first = count(0).await;
    assert!((10_000..=11_000).contains(&first), "{first}");
    let mut others = 0;
    for part in 1..=16 {
        let rows = count(part).await;
        assert!((100..=400).contains(&rows), "{rows} in part {part}");
        others += rows;
    }
    assert_eq!(first + others, 14_001);
    assert_eq!(store.room(room()).await.unwrap().unwrap().room.member_count, 14_001);
}

fn person(handle: &str) -> User {
    User { handle: handle.to_owned(), name: "somebody".to_owned(), admin: false, created_at: 5 }
}

#[tokio::test]
async fn a_name_that_a_dead_node_claimed_is_taken_and_its_user_never_made() {
    let keyspace = new_keyspace();
    let store = open(&options(&keyspace)).await;
    let session = look(&keyspace).await;
    let claim = async |handle: &str, user: i64, seconds_ago: i64| {
        let cql = "INSERT INTO names (issuer, name, user, claimed_at) VALUES ('', ?, ?, ?) IF NOT EXISTS";
        session.query_unpaged(cql, (handle, user, BEGIN_MICROS - seconds_ago * 1_000_000)).await.unwrap();
    };
    claim("ann", 99, 3_600).await;
    assert_eq!(store.user_by_handle("ann").await.unwrap(), None, "nobody has it yet");
    assert!(store.create_user(user(1), person("ann"), None).await.unwrap());
    assert_eq!(store.user_by_handle("ann").await.unwrap(), Some(user(1)));
    // The node was not dead but slow.
    assert!(!store.create_user(user(99), person("ann"), None).await.unwrap());
    assert!(!store.create_user(user(99), person("other"), None).await.unwrap(), "that identifier is barred");
    assert!(store.users(&[user(99)]).await.unwrap().is_empty());
    assert!(!store.update_user(user(99), person("other")).await.unwrap());
    assert!(store.create_user(user(2), person("other"), None).await.unwrap(), "what was refused took no name");

    claim("ben", 98, 0).await;
    let error = store.create_user(user(3), person("ben"), None).await.unwrap_err();
    assert!(error.cause.contains("about to be made"), "{error}");
}

#[tokio::test]
async fn making_a_user_again_tells_the_same() {
    let store = open(&options(&new_keyspace())).await;
    let subject = || Some(("https://issuer.example".to_owned(), "s".to_owned()));
    for _ in 0..2 {
        assert!(store.create_user(user(1), person("ann"), subject()).await.unwrap(), "its answer may have been lost");
    }
    let other = User { name: "else".to_owned(), ..person("ann") };
    assert!(!store.create_user(user(1), other, None).await.unwrap());
    assert_eq!(store.user_by_handle("ann").await.unwrap(), Some(user(1)), "what was refused took no name away");
    assert_eq!(store.user_by_subject("https://issuer.example", "s").await.unwrap(), Some(user(1)));
    assert_eq!(store.users(&[user(1)]).await.unwrap(), [(user(1), person("ann"))]);
}
