//! The contract suite of [`SettingsStore`]: every adapter runs it, the memory reference included.

#![expect(clippy::expect_used, reason = "a suite fails by panicking")]

use std::sync::Arc;

use bobchat_proto::record::{Setting, SettingChange, SettingsVersion};
use futures_util::future::join_all;

use super::{Added, SettingsStore};

/// What the suite is run on: a store that is empty at first.
pub trait Subject {
    /// The store as it is open now.
    fn store(&self) -> Arc<dyn SettingsStore>;

    /// Closes the store and opens it again: what was durable is there.
    fn reopen(&mut self);
}

/// Makes an empty subject for each case.
pub type Make<'a> = &'a dyn Fn() -> Box<dyn Subject>;

/// Checks what [`SettingsStore`] promises.
pub async fn settings_store(make: Make<'_>) {
    versions_are_kept_as_they_were_made(make()).await;
    a_version_follows_the_newest_one(make()).await;
    of_two_that_are_added_at_once_one_stands(make()).await;
}

/// A version that uses every field.
fn version(number: u64, token: u64) -> SettingsVersion {
    let setting = Setting { key: "limits.sends_burst".to_owned(), value: format!("{token}") };
    let change = SettingChange {
        key: "limits.sends_burst".to_owned(),
        from: "10".to_owned(),
        from_own: true,
        to: format!("{token}"),
        to_own: false,
    };
    SettingsVersion {
        number,
        token,
        at: 1_767_225_600_000_000,
        by: "ada".to_owned(),
        through: "127.0.0.1:8080".to_owned(),
        note: "läuft".to_owned(),
        restores: Some(0),
        settings: vec![setting],
        changes: vec![change],
    }
}

async fn add(store: &dyn SettingsStore, version: SettingsVersion) -> Added {
    store.add(version).await.expect("the store answers")
}

async fn newest(store: &dyn SettingsStore) -> Option<SettingsVersion> {
    store.newest().await.expect("it is read")
}

async fn versions_are_kept_as_they_were_made(mut subject: Box<dyn Subject>) {
    {
        let store = subject.store();
        assert_eq!(newest(&*store).await, None);
        assert_eq!(store.version(1).await.expect("it is read"), None);
        assert_eq!(store.below(u64::MAX, 9).await.expect("they are read"), []);
        for number in 1..=3 {
            assert_eq!(add(&*store, version(number, u64::MAX - number)).await, Added::Done);
            assert_eq!(newest(&*store).await, Some(version(number, u64::MAX - number)), "seen at once");
        }
    }
    subject.reopen();
    let store = subject.store();
    let made = |number| version(number, u64::MAX - number);
    assert_eq!(newest(&*store).await, Some(made(3)));
    assert_eq!(store.version(2).await.expect("it is read"), Some(made(2)));
    assert_eq!(store.version(4).await.expect("it is read"), None);
    assert_eq!(store.below(u64::MAX, 2).await.expect("they are read"), [made(3), made(2)], "newest first");
    assert_eq!(store.below(3, 9).await.expect("they are read"), [made(2), made(1)]);
    assert_eq!(store.below(1, 9).await.expect("they are read"), []);
}

async fn a_version_follows_the_newest_one(subject: Box<dyn Subject>) {
    let store = subject.store();
    assert_eq!(add(&*store, version(2, 5)).await, Added::Refused, "there is no version 1");
    assert_eq!(add(&*store, version(0, 5)).await, Added::Refused);
    assert_eq!(add(&*store, version(1, 5)).await, Added::Done);
    assert_eq!(add(&*store, version(1, 6)).await, Added::Refused, "somebody else made it");
    assert_eq!(add(&*store, version(3, 6)).await, Added::Refused, "a hole");
    assert_eq!(newest(&*store).await, Some(version(1, 5)), "what was refused left nothing");
    assert_eq!(add(&*store, version(2, 6)).await, Added::Done);
}

async fn of_two_that_are_added_at_once_one_stands(subject: Box<dyn Subject>) {
    let store = subject.store();
    for number in 1..=3_u64 {
        let adding = (1..=4).map(|token| add(&*store, version(number, 10 * number + token)));
        let outcomes = join_all(adding).await;
        let done: Vec<_> = (1..=4).zip(&outcomes).filter(|(_, added)| **added == Added::Done).collect();
        assert_eq!(done.len(), 1, "{outcomes:?}");
        let stands = done.first().map(|(token, _)| version(number, 10 * number + token));
        assert_eq!(newest(&*store).await, stands);
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemorySettings;
    use super::*;

    struct Memory(Arc<MemorySettings>);

    impl Subject for Memory {
        fn store(&self) -> Arc<dyn SettingsStore> {
            self.0.clone()
        }

        fn reopen(&mut self) {}
    }

    #[tokio::test]
    async fn memory_keeps_the_contract_of_settings() {
        settings_store(&|| Box::new(Memory(Arc::default()))).await;
    }
}
