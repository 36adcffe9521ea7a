use bobchat_proto::ids::DeviceId;
use bobchat_proto::record::{RefreshFamily, SigningKey};
use futures_util::future::join_all;

use super::{Make, Subject};
use crate::ports::FamilyUpdate;

/// Checks what [`Credentials`](crate::ports::Credentials) promises.
pub async fn credentials(make: Make<'_>) {
    a_family_is_replaced_by_who_knows_it(make()).await;
    two_uses_of_one_token_never_both_succeed(make()).await;
    a_key_follows_the_one_that_its_maker_knew(make()).await;
    of_nodes_that_make_a_key_at_once_all_end_with_one(make()).await;
}

fn device(raw: u64) -> DeviceId {
    DeviceId::new(raw).expect("a device's identifier")
}

fn family(generation: u64) -> RefreshFamily {
    let hash = generation.to_be_bytes().to_vec();
    RefreshFamily { user: 1, generation, hash, expires_at: 9, ..RefreshFamily::default() }
}

async fn a_family_is_replaced_by_who_knows_it(mut subject: Box<dyn Subject>) {
    {
        let credentials = subject.stores().credentials;
        assert_eq!(credentials.family(device(3)).await.expect("it is read"), None);
        credentials.create_family(device(3), family(1)).await.expect("it is kept");
        let updated = credentials.update_family(device(3), &family(1), family(2)).await;
        assert_eq!(updated.expect("the store answers"), FamilyUpdate::Done);
    }
    subject.reopen();
    let credentials = subject.stores().credentials;
    let updated = credentials.update_family(device(3), &family(1), family(3)).await.expect("the store answers");
    assert_eq!(updated, FamilyUpdate::Changed(Box::new(family(2))));
    let missing = credentials.update_family(device(4), &family(1), family(2)).await.expect("the store answers");
    assert_eq!(missing, FamilyUpdate::Missing);
    assert_eq!(credentials.family(device(3)).await.expect("it is read"), Some(family(2)));
    assert_eq!(credentials.family(device(4)).await.expect("it is read"), None);
}

async fn two_uses_of_one_token_never_both_succeed(subject: Box<dyn Subject>) {
    let credentials = subject.stores().credentials;
    credentials.create_family(device(3), family(1)).await.expect("it is kept");
    let old = family(1);
    let uses = (2..=9).map(|generation| credentials.update_family(device(3), &old, family(generation)));
    let outcomes = join_all(uses).await;
    let done = outcomes.iter().filter(|outcome| matches!(outcome, Ok(FamilyUpdate::Done))).count();
    assert_eq!(done, 1);
    let stands = credentials.family(device(3)).await.expect("it is read").expect("it is there");
    assert!(outcomes.into_iter().flatten().all(|outcome| match outcome {
        FamilyUpdate::Changed(now) => *now == stands,
        FamilyUpdate::Done => true,
        FamilyUpdate::Missing => false,
    }));
}

fn key(kid: &str, created_at: i64, signs_until: i64) -> SigningKey {
    let (private_key, public_key) = (vec![1; 48], vec![2; 32]);
    SigningKey { kid: kid.to_owned(), private_key, public_key, created_at, signs_until }
}

async fn of_nodes_that_make_a_key_at_once_all_end_with_one(subject: Box<dyn Subject>) {
    let credentials = subject.stores().credentials;
    let mut newest: Option<String> = None;
    for round in 1..=2_i64 {
        let fresh = (1..=3_i64).map(|node| key(&format!("{round}-{node}"), 10 * round + node, 100 * round + node));
        let added = join_all(fresh.map(|fresh| credentials.add_signing_key(newest.as_deref(), fresh))).await;
        let stands = credentials.signing_keys().await.expect("they are read");
        assert_eq!(stands.len(), usize::try_from(round).expect("a small number"), "one key more, and not three");
        assert!(added.into_iter().all(|keys| keys.expect("the store answers") == stands), "and all nodes know it");
        newest = stands.last().map(|key| key.kid.clone());
    }
}

async fn a_key_follows_the_one_that_its_maker_knew(mut subject: Box<dyn Subject>) {
    let first = key("b", 10, 100);
    {
        let credentials = subject.stores().credentials;
        assert!(credentials.signing_keys().await.expect("they are read").is_empty());
        let keys = credentials.add_signing_key(None, first.clone()).await.expect("the store answers");
        assert_eq!(keys, std::slice::from_ref(&first));
        for newest in [None, Some("another")] {
            let keys = credentials.add_signing_key(newest, key("late", 12, 200)).await.expect("the store answers");
            assert_eq!(keys, std::slice::from_ref(&first));
        }
    }
    subject.reopen();
    let credentials = subject.stores().credentials;
    // Its maker's clock is behind.
    let keys = credentials.add_signing_key(Some("b"), key("a", 5, 200)).await.expect("the store answers");
    assert_eq!(keys, [first, key("a", 11, 200)], "oldest first");
    assert_eq!(credentials.signing_keys().await.expect("they are read"), keys);
}
