//! A disk that is full: a small file system in memory, which takes root to mount.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bobchat::adapters::embedded::{EmbeddedOptions, EmbeddedStore};
use bobchat_actors::ports::{AppendError, Directory, Outcome, RoomLog as _};
use bobchat_proto::ids::UserId;
use bobchat_proto::record;
use prometheus_client::registry::Registry;
use tempfile::TempDir;

use crate::support::{append, append_after, create_room, message, open_with, options, room, tail};

const TEXT_BYTES: usize = 8 * 1024;

struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    fn mount(size: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder.path());
        assert!(mount.status().unwrap().success(), "tests of a full disk mount one, as root");
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a store that a failing test leaves open must not keep it.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Appends until the store takes no more; returns the keys that were acked, and what it said.
async fn fill(store: &EmbeddedStore, prefix: &str) -> (Vec<String>, AppendError) {
    let (mut acked, text) = (Vec::new(), "x".repeat(TEXT_BYTES));
    loop {
        let key = format!("{prefix}-{}", acked.len());
        match append(store, room(1), vec![message(room(1), &key, &text)]).await {
            Ok(_) => acked.push(key),
            Err(error) => return (acked, error),
        }
    }
}

/// Sends under one key until it is taken.
async fn send_until_taken(store: &EmbeddedStore, key: &str) -> Outcome {
    for _ in 0..2_400 {
        // Reading the head may fail as well, for as long as the file is being opened again.
        if let Ok(Some(head)) = store.head(room(1)).await
            && let Ok(mut outcomes) = append_after(store, room(1), head, vec![message(room(1), key, "small")]).await
        {
            return outcomes.remove(0);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the store takes nothing although there is space");
}

async fn assert_each_once(store: &EmbeddedStore, acked: &[String]) {
    let tail = tail(store, room(1)).await;
    assert!(tail.iter().map(|event| event.seq).eq(1..=tail.len() as u64));
    for key in acked {
        assert_eq!(tail.iter().filter(|event| event.key.as_ref() == Some(key)).count(), 1, "{key}");
    }
}

/// Log protocol, rule 35.
#[tokio::test]
async fn below_the_reserve_the_store_is_busy_and_goes_on_when_space_returns() {
    let disk = SmallDisk::mount("32m");
    std::fs::write(disk.ballast(), vec![1; 8 << 20]).unwrap();
    let options = EmbeddedOptions { reserve_bytes: 4 << 20, ..options() };
    let store = open_with(disk.path(), options, &mut Registry::default());
    create_room(&store, room(1)).await;
    let (mut acked, error) = fill(&store, "before").await;
    assert!(matches!(error, AppendError::Full { retry_after } if retry_after == Duration::from_secs(5)), "{error}");
    assert!(acked.len() > 20);
    assert_each_once(&store, &acked).await;
    let user = record::User { handle: "ann".to_owned(), ..record::User::default() };
    let id = UserId::new(1).unwrap();
    assert!(store.create_user(id, user.clone(), None).await.is_err(), "every write that grows");

    std::fs::remove_file(disk.ballast()).unwrap();
    assert!(store.create_user(id, user, None).await.unwrap());
    append(&store, room(1), vec![message(room(1), "after", "small")]).await.unwrap();
    acked.push("after".to_owned());
    assert_each_once(&store, &acked).await;
}

/// Others fill the disk to the last byte, while the journal holds what is to be taken into the store's file.
#[tokio::test]
async fn a_disk_without_a_byte_left_can_be_read() {
    let disk = SmallDisk::mount("48m");
    let checkpoint_when_idle = Duration::from_millis(500);
    let options = EmbeddedOptions { reserve_bytes: 8 << 20, checkpoint_when_idle, ..options() };
    let store = open_with(disk.path(), options, &mut Registry::default());
    create_room(&store, room(1)).await;
    let acked: Vec<_> = (0..200).map(|number| format!("before-{number}")).collect();
    for key in &acked {
        append(&store, room(1), vec![message(room(1), key, &"x".repeat(TEXT_BYTES))]).await.unwrap();
    }
    let mut ballast = File::create(disk.ballast()).unwrap();
    while ballast.write(&[1; 64 * 1024]).is_ok() {}
    tokio::time::sleep(checkpoint_when_idle * 2).await;
    let refused = append(&store, room(1), vec![message(room(1), "full", "small")]).await;
    assert!(matches!(refused, Err(AppendError::Full { .. })), "{refused:?}");
    assert_each_once(&store, &acked).await;

    std::fs::remove_file(disk.ballast()).unwrap();
    drop(ballast);
    append(&store, room(1), vec![message(room(1), "after", "small")]).await.unwrap();
    assert_each_once(&store, &acked).await;
}

/// Log protocol, rule 35.
#[tokio::test]
async fn a_disk_that_is_full_loses_nothing_acked_and_the_store_serves_again() {
    let disk = SmallDisk::mount("32m");
    std::fs::write(disk.ballast(), vec![1; 8 << 20]).unwrap();
    let store = open_with(disk.path(), options(), &mut Registry::default());
    create_room(&store, room(1)).await;
    let (mut acked, error) = fill(&store, "before").await;
    assert!(matches!(error, AppendError::Unknown(_)), "a write that failed half way: {error}");
    let last = format!("before-{}", acked.len());

    std::fs::remove_file(disk.ballast()).unwrap();
    send_until_taken(&store, "after").await;
    acked.push("after".to_owned());
    // The one whose outcome was unknown: sent again it stands once, whatever came of it.
    append(&store, room(1), vec![message(room(1), &last, &"x".repeat(TEXT_BYTES))]).await.unwrap();
    acked.push(last);
    assert_each_once(&store, &acked).await;
    drop(store);
    assert_each_once(&open_with(disk.path(), options(), &mut Registry::default()), &acked).await;
}
