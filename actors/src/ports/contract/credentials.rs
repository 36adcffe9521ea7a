use bobchat_proto::ids::DeviceId;
use bobchat_proto::record::{RefreshFamily, SigningKey};
use futures_util::future::join_all;

use super::{Make, Subject};
use crate::ports::FamilyUpdate;

/// Checks what [`Credentials`](crate::ports::Credentials) promises.
pub async fn credentials(make: Make<'_>) {
    a_family_is_replaced_by_who_knows_it(make()).await;
    two_uses_of_one_token_never_both_succeed(make()).await;
    the_key_that_signs_longest_stands(make()).await;
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

async fn the_key_that_signs_longest_stands(mut subject: Box<dyn Subject>) {
    let key = |kid: &str, created_at, signs_until| SigningKey {
        kid: kid.to_owned(),
        private_key: vec![1; 48],
        public_key: vec![2; 32],
        created_at,
        signs_until,
    };
    let first = key("b", 10, 100);
    {
        let credentials = subject.stores().credentials;
        assert!(credentials.signing_keys().await.expect("they are read").is_empty());
        let keys = credentials.add_signing_key(first.clone()).await.expect("the store answers");
        assert_eq!(keys, std::slice::from_ref(&first));
        for late in [key("a", 11, 100), key("c", 12, 90)] {
            let keys = credentials.add_signing_key(late).await.expect("the store answers");
            assert_eq!(keys, std::slice::from_ref(&first));
        }
    }
    subject.reopen();
    let credentials = subject.stores().credentials;
    let next = key("a", 50, 200);
    let keys = credentials.add_signing_key(next.clone()).await.expect("the store answers");
    assert_eq!(keys, [first, next], "oldest first");
    assert_eq!(credentials.signing_keys().await.expect("they are read"), keys);
}
