use bobchat_proto::ids::{RoomId, Sequence, UserId};
use bobchat_proto::record::{Interval, Membership};
use bobchat_proto::wire::{Role, RoomKind, RoomSettings};

use super::scenario::{Room, created, joined, left, renamed, room, user};
use super::{Make, Stores, Subject, search, users};
use crate::ports::{RoomRow, Span};

/// Checks what [`Directory`](crate::ports::Directory) promises.
pub async fn directory(make: Make<'_>) {
    a_room_is_there_from_its_first_event_on(make()).await;
    a_snapshot_is_the_fold_of_the_log(make()).await;
    a_user_has_the_rooms_they_are_a_member_of(make()).await;
    members_are_those_who_are_there_now(make()).await;
    a_claim_gives_one_room_to_a_key(make()).await;
    search::cases(make).await;
    users::cases(make).await;
}

async fn row(stores: &Stores, room: RoomId) -> Option<RoomRow> {
    stores.directory.room(room).await.expect("the room is read")
}

async fn a_room_is_there_from_its_first_event_on(mut subject: Box<dyn Subject>) {
    {
        let stores = subject.stores();
        assert_eq!(row(&stores, room(7)).await, None);
        let room = Room::open(&stores, 7).await;
        assert_eq!(row(&stores, room.id).await, None);
        assert_eq!(stores.directory.snapshot(room.id).await.expect("it is read"), None);
        room.add(1, created("seven", RoomKind::Private)).await;
        room.add(1, renamed("new name")).await;
        room.say(1, "hello").await;
    }
    subject.reopen();
    let stores = subject.stores();
    let row = row(&stores, room(7)).await.expect("the room is there");
    assert_eq!(row.head, Room::open(&stores, 7).await.head().await);
    assert_eq!((row.id, row.room.member_count), (room(7), 1));
    let settings = row.room.settings.expect("it has settings");
    let (kind, history) = (settings.kind, settings.history);
    assert_eq!(settings, RoomSettings { name: "new name".to_owned(), topic: String::new(), kind, history });
    assert_eq!(kind, RoomKind::Private as i32, "what is absent in a change stays");
}

async fn a_snapshot_is_the_fold_of_the_log(mut subject: Box<dyn Subject>) {
    let joined_at = {
        let room = Room::create(&subject.stores(), 7, "seven").await;
        for body in [joined(5), joined(3), left(5), joined(5), joined(3), left(9)] {
            room.add(1, body).await;
        }
        room.tail().await.into_iter().map(|event| event.at).collect::<Vec<_>>()
    };
    subject.reopen();
    let stores = subject.stores();
    let snapshot = stores.directory.snapshot(room(7)).await.expect("it is read").expect("it is there");
    assert_eq!(Some(snapshot.row), row(&stores, room(7)).await);
    assert_eq!(snapshot.spans, [Span::FIRST]);
    let member = |role: Role, seq: usize, intervals: &[(u64, Option<u64>)]| Membership {
        role: role as i32,
        joined_at: joined_at[seq - 1],
        intervals: intervals.iter().map(|(joined, left)| Interval { joined: *joined, left: *left }).collect(),
    };
    let expected = [
        (user(1), member(Role::Owner, 1, &[(1, None)])),
        (user(3), member(Role::Member, 3, &[(3, None)])),
        (user(5), member(Role::Member, 5, &[(2, Some(4)), (5, None)])),
    ];
    assert_eq!(snapshot.memberships, expected, "who never was a member is not there");
}

async fn a_user_has_the_rooms_they_are_a_member_of(mut subject: Box<dyn Subject>) {
    {
        let stores = subject.stores();
        for raw in [15, 11, 12, 14, 13] {
            let room = Room::create(&stores, raw, "room").await;
            room.add(2, joined(2)).await;
            if raw == 12 {
                room.add(2, left(2)).await;
            }
        }
    }
    subject.reopen();
    let directory = subject.stores().directory;
    let mut after = None;
    for expected in [&[11, 13][..], &[14, 15], &[]] {
        let page = directory.rooms_of(user(2), after, 2).await.expect("the rooms are read");
        assert_eq!(page.iter().map(|(row, _)| row.id.get()).collect::<Vec<_>>(), expected);
        for (row, membership) in &page {
            assert_eq!(directory.room(row.id).await.expect("it is read").as_ref(), Some(row));
            assert_eq!((membership.role, row.room.member_count), (Role::Member as i32, 2));
        }
        after = page.last().map(|(row, _)| row.id);
    }
    assert_eq!(directory.room_count_of(user(2)).await.expect("they are counted"), 4);
    assert_eq!(directory.room_count_of(user(9)).await.expect("they are counted"), 0);
    assert!(directory.rooms_of(user(9), None, 10).await.expect("they are read").is_empty());
}

async fn members_are_those_who_are_there_now(subject: Box<dyn Subject>) {
    let stores = subject.stores();
    let room = Room::create(&stores, 7, "seven").await;
    for body in [joined(4), joined(6), joined(2), joined(5), left(4)] {
        room.add(1, body).await;
    }
    let page = |after: Option<UserId>| {
        let directory = &stores.directory;
        async move { directory.members(room.id, after, 2).await.expect("the members are read") }
    };
    let users = |page: &[(UserId, Membership)]| page.iter().map(|(user, _)| user.get()).collect::<Vec<_>>();
    let first = page(None).await;
    assert_eq!(users(&first), [1, 2]);
    assert_eq!(first[1].1.intervals, [Interval { joined: 4, left: None }]);
    assert_eq!(users(&page(Some(user(2))).await), [5, 6]);
    assert_eq!(users(&page(Some(user(3))).await), [5, 6], "the last one may be gone since");
    assert!(page(Some(user(6))).await.is_empty());
    assert_eq!(row(&stores, room.id).await.expect("it is there").room.member_count, 4);
    assert_eq!(room.head().await.state_seq, Sequence(6));
}

async fn a_claim_gives_one_room_to_a_key(mut subject: Box<dyn Subject>) {
    let claim = |stores: Stores, owner: u64, key: &'static str, proposed: u64| async move {
        stores.directory.claim_room(user(owner), key, room(proposed)).await.expect("it is claimed").get()
    };
    assert_eq!(claim(subject.stores(), 1, "k", 11).await, 11);
    subject.reopen();
    assert_eq!(claim(subject.stores(), 1, "k", 12).await, 11);
    assert_eq!(claim(subject.stores(), 2, "k", 13).await, 13);
    assert_eq!(claim(subject.stores(), 1, "l", 14).await, 14);
    assert_eq!(row(&subject.stores(), room(11)).await, None, "nothing else is made");
}
