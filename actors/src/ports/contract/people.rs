//! Users that several nodes make at once.

use bobchat_proto::ids::UserId;
use bobchat_proto::record::User;
use futures_util::future::join_all;

use super::derived::DerivingNode;
use super::scenario::user;

pub(super) async fn cases(here: &DerivingNode, there: &DerivingNode) {
    of_many_who_want_a_handle_one_has_it(here, there).await;
    of_many_who_are_one_subject_one_is_made(here, there).await;
}

fn person(handle: &str, raw: u64) -> User {
    User { handle: handle.to_owned(), name: format!("number {raw}"), admin: false, created_at: 5 }
}

async fn make(node: &DerivingNode, raw: u64, handle: &str, subject: Option<&str>) -> Option<UserId> {
    let subject = subject.map(|subject| ("https://issuer.example".to_owned(), subject.to_owned()));
    let made = node.directory.create_user(user(raw), person(handle, raw), subject).await;
    made.expect("the store answers").then(|| user(raw))
}

async fn of_many_who_want_a_handle_one_has_it(here: &DerivingNode, there: &DerivingNode) {
    for round in 0..4 {
        let handle = format!("wanted-{round}");
        let raws: Vec<u64> = (0..8).map(|number| 700 + round * 8 + number).collect();
        let attempts = raws.iter().map(|raw| make(if raw % 2 == 0 { here } else { there }, *raw, &handle, None));
        let winners: Vec<_> = join_all(attempts).await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "{winners:?}");
        for node in [here, there] {
            assert_eq!(node.directory.user_by_handle(&handle).await.expect("it is read"), Some(winners[0]));
            let all: Vec<_> = raws.iter().map(|raw| user(*raw)).collect();
            let made = node.directory.users(&all).await.expect("they are read");
            assert_eq!(made, [(winners[0], person(&handle, winners[0].get()))]);
        }
    }
}

async fn of_many_who_are_one_subject_one_is_made(here: &DerivingNode, there: &DerivingNode) {
    let raws = 800..808_u64;
    let handle = |raw: u64| format!("visitor-{raw}");
    let attempts = raws.clone().map(|raw| async move {
        make(if raw % 2 == 0 { here } else { there }, raw, &handle(raw), Some("s-800")).await
    });
    let winners: Vec<_> = join_all(attempts).await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    let found = there.directory.user_by_subject("https://issuer.example", "s-800").await.expect("it is read");
    assert_eq!(found, Some(winners[0]));
    for raw in raws.filter(|raw| user(*raw) != winners[0]) {
        assert_eq!(here.directory.user_by_handle(&handle(raw)).await.expect("it is read"), None);
        assert_eq!(make(there, raw + 100, &handle(raw), None).await, Some(user(raw + 100)), "its handle is free again");
    }
}
