use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bobchat::adapters::embedded::{BackupError, EmbeddedStore, restore};
use bobchat_actors::ports::{Cursor, Directory, Outcome, Span, judge_cursor};
use bobchat_proto::ids::{Epoch, Position, Sequence};
use tempfile::TempDir;

use crate::support::{append, create_room, message, open, room, tail};

/// 2026-02-01T00:00:00Z, when the backups of these tests are restored.
const RESTORED_AT: u64 = 1_769_904_000;

fn restored_at() -> i64 {
    i64::try_from(RESTORED_AT).unwrap() * 1_000_000
}

async fn say(store: &EmbeddedStore, raw: u64, key: &str) -> Vec<Outcome> {
    append(store, room(raw), vec![message(room(raw), key, "text")]).await.unwrap()
}

#[tokio::test]
async fn a_backup_under_load_is_one_moment_of_the_store() {
    let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (store, done) = (open(folder.path()), Arc::new(AtomicBool::new(false)));
    create_room(&store, room(1)).await;
    create_room(&store, room(2)).await;
    let load = tokio::spawn({
        let (store, done) = (Arc::clone(&store), Arc::clone(&done));
        async move {
            // Room 2 follows room 1: no moment has more in it.
            for number in 0.. {
                say(&store, 1, &format!("{number}")).await;
                say(&store, 2, &format!("{number}")).await;
                if done.load(Ordering::SeqCst) {
                    return;
                }
            }
        }
    });
    while tail(&store, room(2)).await.len() < 50 {
        tokio::task::yield_now().await;
    }
    let (copy, running) = (elsewhere.path().join("copy"), Arc::clone(&store));
    let report = tokio::task::spawn_blocking({
        let copy = copy.clone();
        move || running.backup(&copy)
    });
    let report = report.await.unwrap().unwrap();
    done.store(true, Ordering::SeqCst);
    load.await.unwrap();

    assert_eq!((report.rooms, report.bytes), (2, fs::metadata(&copy).unwrap().len()));
    let data = elsewhere.path().join("data");
    assert_eq!(restore(&copy, &data, restored_at()).unwrap().events, report.events);
    let restored = open(&data);
    let (first, second) = (tail(&restored, room(1)).await, tail(&restored, room(2)).await);
    assert!(first.len() == second.len() || first.len() == second.len() + 1);
    assert_eq!((first.len() + second.len()) as u64, report.events);
    assert_eq!(first, tail(&store, room(1)).await[..first.len()]);
    assert!(tail(&store, room(1)).await.len() > first.len(), "it was written to meanwhile");
}

/// Log protocol, rule 36.
#[tokio::test]
async fn after_a_restore_cursors_beyond_the_backup_are_told_apart() {
    let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (copy, data) = (elsewhere.path().join("copy"), elsewhere.path().join("data"));
    {
        let store = open(folder.path());
        create_room(&store, room(1)).await;
        say(&store, 1, "in the backup").await;
        store.backup(&copy).unwrap();
        say(&store, 1, "lost").await;
    }
    restore(&copy, &data, restored_at()).unwrap();
    let store = open(&data);
    let snapshot = store.snapshot(room(1)).await.unwrap().unwrap();
    let epoch = Epoch(RESTORED_AT);
    assert_eq!(snapshot.spans, [Span::FIRST, Span { epoch, base: Sequence(3) }]);
    assert_eq!(snapshot.row.head.position, Position { epoch, seq: Sequence(2) });
    assert!(matches!(say(&store, 1, "in the backup").await[..], [Outcome::Repeated(_)]));
    let [Outcome::Appended(event)] = &say(&store, 1, "lost").await[..] else { panic!("it is appended anew") };
    assert_eq!((event.position(), event.ordinal), (Position { epoch, seq: Sequence(3) }, Some(2)));
    let judge = |epoch, seq| judge_cursor(&snapshot.spans, event.position(), Position { epoch, seq: Sequence(seq) });
    assert_eq!(judge(Epoch::FIRST, 2), Cursor::Good(Sequence(2)));
    assert_eq!(judge(Epoch::FIRST, 3), Cursor::Lost);
    assert_eq!(judge(epoch, 3), Cursor::Good(Sequence(3)));

    // The backup of a restored store, restored in the same second: yet another epoch.
    let (copy, data) = (elsewhere.path().join("copy2"), elsewhere.path().join("data2"));
    store.backup(&copy).unwrap();
    restore(&copy, &data, restored_at()).unwrap();
    let spans = open(&data).snapshot(room(1)).await.unwrap().unwrap().spans;
    assert_eq!(
        spans[1..],
        [Span { epoch, base: Sequence(3) }, Span { epoch: Epoch(RESTORED_AT + 1), base: Sequence(4) }]
    );
}

#[tokio::test]
async fn nothing_is_overwritten_and_nothing_left_behind() {
    let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = open(folder.path());
    create_room(&store, room(1)).await;
    let copy = elsewhere.path().join("copy");
    fs::write(&copy, "precious").unwrap();
    assert!(matches!(store.backup(&copy), Err(BackupError::Exists(_))));
    assert_eq!(fs::read(&copy).unwrap(), b"precious");
    assert!(matches!(store.backup(&elsewhere.path().join("no/folder")), Err(BackupError::Io { .. })));
    fs::remove_file(&copy).unwrap();
    store.backup(&copy).unwrap();
    assert!(matches!(restore(&copy, folder.path(), 0), Err(BackupError::Exists(_))), "a store is there");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "the store and its journal");
}

#[tokio::test]
async fn what_is_not_a_whole_backup_is_not_restored() {
    let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (copy, data) = (elsewhere.path().join("copy"), elsewhere.path().join("data"));
    {
        let store = open(folder.path());
        create_room(&store, room(1)).await;
        let batch = (0..500).map(|number| message(room(1), &number.to_string(), "some text of a message")).collect();
        append(&store, room(1), batch).await.unwrap();
        store.backup(&copy).unwrap();
    }
    let own = folder.path().join("bobchat.redb");
    assert!(matches!(restore(&own, &data, 0), Err(BackupError::NotABackup(_))), "epochs would not tell it apart");
    fs::write(elsewhere.path().join("text"), "no backup at all").unwrap();
    assert!(matches!(restore(&elsewhere.path().join("text"), &data, 0), Err(BackupError::NotABackup(_))));
    let mut bytes = fs::read(&copy).unwrap();
    let place = bytes.windows(4).position(|window| window == b"some").unwrap();
    bytes[place] ^= 1;
    fs::write(&copy, bytes).unwrap();
    assert!(matches!(restore(&copy, &data, 0), Err(BackupError::Damaged { .. })));
    assert!(!data.join("bobchat.redb").exists());
}
