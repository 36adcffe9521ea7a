use bobchat_proto::wire::RoomKind;

use super::scenario::{Room, created, renamed, room};
use super::{Make, Stores, Subject};

pub(super) async fn cases(make: Make<'_>) {
    words_are_found_by_how_they_begin(make()).await;
    only_public_rooms_are_found_by_their_present_name(make()).await;
    results_come_in_pages_in_the_order_of_rooms(make()).await;
}

async fn search(stores: &Stores, query: &str) -> Vec<u64> {
    let found = stores.directory.search(query, None, 100).await.expect("it is searched");
    found.into_iter().map(|row| row.id.get()).collect()
}

async fn words_are_found_by_how_they_begin(mut subject: Box<dyn Subject>) {
    let names =
        ["Rust für Anfänger", "rusty nails", "The Trust", "Donaudampfschifffahrtsgesellschaft", "ｗｉｄｅ 日本語"];
    {
        let stores = subject.stores();
        for (raw, name) in (1..).zip(names) {
            Room::create(&stores, raw, name).await;
        }
    }
    subject.reopen();
    let stores = subject.stores();
    for (query, expected) in [
        ("rust", &[1, 2][..]),
        ("RUST", &[1, 2]),
        ("rust nai", &[2]),
        ("nails rus", &[2]),
        ("tru the", &[3]),
        ("ust", &[]),
        ("rust, für!", &[1]),
        ("donaudampfschifffahrtsg", &[4]),
        ("donaudampfschifffahrtx", &[]),
        ("wide", &[5]),
        ("日本", &[5]),
        ("", &[1, 2, 3, 4, 5]),
        (" ?! ", &[1, 2, 3, 4, 5]),
    ] {
        assert_eq!(search(&stores, query).await, expected, "{query:?}");
    }
}

async fn only_public_rooms_are_found_by_their_present_name(subject: Box<dyn Subject>) {
    let stores = subject.stores();
    let private = Room::open(&stores, 1).await;
    private.add(1, created("hidden garden", RoomKind::Private)).await;
    let public = Room::create(&stores, 2, "open garden").await;
    assert_eq!(search(&stores, "garden").await, [2]);
    public.add(1, renamed("open field")).await;
    private.add(1, renamed("hidden field")).await;
    assert_eq!(search(&stores, "garden").await, [] as [u64; 0]);
    assert_eq!(search(&stores, "fie").await, [2]);
    assert_eq!(search(&stores, "open").await, [2]);
    assert_eq!(search(&stores, "").await, [2]);
}

async fn results_come_in_pages_in_the_order_of_rooms(subject: Box<dyn Subject>) {
    let stores = subject.stores();
    for raw in [5, 3, 9, 7, 1] {
        Room::create(&stores, raw, &format!("alpha alpine {raw}")).await;
    }
    for query in ["al", ""] {
        let mut after = None;
        for expected in [&[1, 3][..], &[5, 7], &[9]] {
            let page = stores.directory.search(query, after, 2).await.expect("it is searched");
            assert_eq!(page.iter().map(|row| row.id.get()).collect::<Vec<_>>(), expected);
            after = page.last().map(|row| row.id);
        }
    }
    let row = stores.directory.room(room(9)).await.expect("it is read").expect("it is there");
    assert_eq!(stores.directory.search("9", None, 10).await.expect("it is searched"), [row]);
}
