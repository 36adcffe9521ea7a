use bobchat_proto::record::User;

use super::scenario::user;
use super::{Make, Stores, Subject};

pub(super) async fn cases(make: Make<'_>) {
    a_user_is_found_by_every_name(make()).await;
    a_name_is_taken_once(make()).await;
    an_update_leaves_the_handle(make()).await;
}

fn person(handle: &str) -> User {
    User { handle: handle.to_owned(), name: format!("{handle} the person"), admin: false, created_at: 5 }
}

fn external(subject: &str) -> Option<(String, String)> {
    Some(("https://issuer.example".to_owned(), subject.to_owned()))
}

async fn create(stores: &Stores, raw: u64, handle: &str, subject: Option<(String, String)>) -> bool {
    stores.directory.create_user(user(raw), person(handle), subject).await.expect("the store answers")
}

async fn a_user_is_found_by_every_name(mut subject: Box<dyn Subject>) {
    assert!(create(&subject.stores(), 1, "ann", None).await);
    assert!(create(&subject.stores(), 2, "ben", external("s-2")).await);
    subject.reopen();
    let directory = subject.stores().directory;
    let wanted = [user(2), user(9), user(1)];
    let found = directory.users(&wanted).await.expect("they are read");
    assert_eq!(found, [(user(2), person("ben")), (user(1), person("ann"))], "in the order that was asked");
    assert_eq!(directory.user_by_handle("ann").await.expect("it is read"), Some(user(1)));
    assert_eq!(directory.user_by_handle("an").await.expect("it is read"), None);
    let issuer = "https://issuer.example";
    assert_eq!(directory.user_by_subject(issuer, "s-2").await.expect("it is read"), Some(user(2)));
    assert_eq!(directory.user_by_subject("https://other.example", "s-2").await.expect("it is read"), None);
}

async fn a_name_is_taken_once(subject: Box<dyn Subject>) {
    let stores = subject.stores();
    assert!(create(&stores, 1, "ann", external("s-1")).await);
    assert!(!create(&stores, 2, "ann", external("s-2")).await);
    assert!(!create(&stores, 2, "ben", external("s-1")).await);
    assert!(stores.directory.users(&[user(2)]).await.expect("they are read").is_empty(), "nothing is made");
    let (issuer, handles) = ("https://issuer.example", &stores.directory);
    assert_eq!(handles.user_by_subject(issuer, "s-2").await.expect("it is read"), None);
    assert_eq!(handles.user_by_handle("ben").await.expect("it is read"), None);
    assert!(create(&stores, 2, "ben", external("s-2")).await, "what was refused took no name");
}

async fn an_update_leaves_the_handle(mut subject: Box<dyn Subject>) {
    {
        let stores = subject.stores();
        assert!(create(&stores, 1, "ann", None).await);
        let changed = User { handle: "other".to_owned(), name: "Ann".to_owned(), admin: true, created_at: 5 };
        assert!(stores.directory.update_user(user(1), changed.clone()).await.expect("the store answers"));
        assert!(!stores.directory.update_user(user(2), changed).await.expect("the store answers"));
    }
    subject.reopen();
    let directory = subject.stores().directory;
    let expected = User { handle: "ann".to_owned(), name: "Ann".to_owned(), admin: true, created_at: 5 };
    assert_eq!(directory.users(&[user(1)]).await.expect("they are read"), [(user(1), expected)]);
    assert_eq!(directory.user_by_handle("other").await.expect("it is read"), None);
}
