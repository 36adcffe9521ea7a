//! Any sequence of writes, with a crash at any point, leaves what was acknowledged and nothing else.

use std::path::Path;
use std::sync::Arc;

use bobchat::adapters::embedded::EmbeddedStore;
use bobchat_actors::ports::{Directory as _, Outcome};
use bobchat_proto::ids::UserId;
use bobchat_proto::record;
use bobchat_proto::wire::{MemberJoined, MemberLeft, event::Body};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::journal::crash_image;
use crate::support::{append, create_room, event, message, open, room, tail};

const ROOMS: u64 = 3;

#[derive(Debug, Clone)]
enum Step {
    /// This many messages in one batch.
    Say(u64, usize),
    /// Somebody joins, or leaves again.
    Change(u64),
    /// The newest message once more.
    Repeat(u64),
    CreateUser,
    /// The process dies, and what it left is opened.
    Crash,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (1..=ROOMS, 1..5_usize).prop_map(|(room, messages)| Step::Say(room, messages)),
        2 => (1..=ROOMS).prop_map(Step::Change),
        2 => (1..=ROOMS).prop_map(Step::Repeat),
        1 => Just(Step::CreateUser),
        2 => Just(Step::Crash),
        1 => Just(Step::Reopen),
    ]
}

/// The store, and what it was heard to have acknowledged.
struct Model {
    folder: TempDir,
    store: Option<Arc<EmbeddedStore>>,
    /// The keys of each room's log.
    logs: Vec<Vec<String>>,
    users: u64,
    made: usize,
}

impl Model {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = open(folder.path());
        for raw in 1..=ROOMS {
            create_room(&store, room(raw)).await;
        }
        let logs = (0..ROOMS).map(|_| vec!["create".to_owned()]).collect();
        Self { folder, store: Some(store), logs, users: 0, made: 0 }
    }

    fn store(&self) -> Arc<EmbeddedStore> {
        Arc::clone(self.store.as_ref().unwrap())
    }

    fn log(&mut self, raw: u64) -> &mut Vec<String> {
        self.logs.get_mut(usize::try_from(raw - 1).unwrap()).unwrap()
    }

    fn key(&mut self) -> String {
        self.made += 1;
        format!("key-{}", self.made)
    }

    async fn run(&mut self, step: Step) {
        match step {
            Step::Say(raw, messages) => {
                let keys: Vec<_> = (0..messages).map(|_| self.key()).collect();
                let batch = keys.iter().map(|key| message(room(raw), key, key)).collect();
                append(&self.store(), room(raw), batch).await.unwrap();
                self.log(raw).extend(keys);
            }
            Step::Change(raw) => {
                let key = self.key();
                let body = if self.made.is_multiple_of(2) {
                    Body::Joined(MemberJoined { user: 7 })
                } else {
                    Body::Left(MemberLeft { user: 7 })
                };
                append(&self.store(), room(raw), vec![event(room(raw), &key, body)]).await.unwrap();
                self.log(raw).push(key);
            }
            Step::Repeat(raw) => {
                let Some(key) = self.log(raw).iter().rfind(|key| key.starts_with("key-")).cloned() else { return };
                let outcomes = append(&self.store(), room(raw), vec![message(room(raw), &key, &key)]).await.unwrap();
                // A change has another body under its key.
                assert!(matches!(outcomes[..], [Outcome::Repeated(_) | Outcome::Conflict]), "{outcomes:?}");
            }
            Step::CreateUser => {
                self.users += 1;
                let user = record::User { handle: format!("user-{}", self.users), ..record::User::default() };
                assert!(self.store().create_user(UserId::new(self.users).unwrap(), user, None).await.unwrap());
            }
            Step::Crash => {
                self.folder = crash_image(self.folder.path());
                self.reopen();
            }
            Step::Reopen => self.reopen(),
        }
        self.check().await;
    }

    fn reopen(&mut self) {
        self.store = None;
        self.store = Some(open(self.folder.path()));
    }

    async fn check(&self) {
        check(&self.store(), &self.logs, self.users).await;
    }
}

async fn check(store: &EmbeddedStore, logs: &[Vec<String>], users: u64) {
    for (raw, log) in (1..).zip(logs) {
        let tail = tail(store, room(raw)).await;
        assert!(tail.iter().map(|event| event.seq).eq(1..=tail.len() as u64), "dense");
        let keys: Vec<_> = tail.iter().map(|event| event.key.clone().unwrap()).collect();
        assert_eq!(&keys, log);
    }
    for user in 1..=users {
        assert!(!store.users(&[UserId::new(user).unwrap()]).await.unwrap().is_empty());
    }
}

async fn check_image(folder: &Path, logs: &[Vec<String>], users: u64) {
    let image = crash_image(folder);
    check(&open(image.path()), logs, users).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_and_whenever_it_crashes_what_was_acked_is_there(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut model = Model::new().await;
            for step in steps {
                model.run(step).await;
            }
            check_image(model.folder.path(), &model.logs, model.users).await;
        });
    }
}
