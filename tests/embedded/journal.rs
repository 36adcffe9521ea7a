//! What the journal promises: a copy of the data folder, taken while the store is open and nothing is under
//! way, is what a crash leaves.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bobchat::adapters::embedded::{EmbeddedOptions, EmbeddedStore, OpenError, restore};
use bobchat_actors::ports::memory::ManualClock;
use bobchat_actors::ports::{Directory as _, Outcome, RoomLog as _};
use bobchat_proto::ids::UserId;
use bobchat_proto::record;
use bobchat_proto::wire::{MemberJoined, event::Body};
use prometheus_client::registry::Registry;
use redb::{ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, TableDefinition};
use tempfile::TempDir;

use crate::support::{append, create_room, event, message, metric, open, open_with, options, room, tail};

const STORE: &str = "bobchat.redb";
const JOURNAL: &str = "bobchat.journal";

/// Copies the folder as it is: no write is under way, and nothing is closed.
pub(crate) fn crash_image(folder: &Path) -> TempDir {
    let image = TempDir::new().unwrap();
    for name in [STORE, JOURNAL] {
        fs::copy(folder.join(name), image.path().join(name)).unwrap();
    }
    image
}

/// Messages, one commit each.
async fn say(store: &EmbeddedStore, raw: u64, keys: impl IntoIterator<Item = u64>) {
    for key in keys {
        let outcomes = append(store, room(raw), vec![message(room(raw), &key.to_string(), "text")]).await.unwrap();
        assert!(matches!(outcomes[..], [Outcome::Appended(_)]), "{outcomes:?}");
    }
}

/// The keys of a room's messages, of which the log is dense.
async fn keys(store: &EmbeddedStore, raw: u64) -> Vec<u64> {
    let tail = tail(store, room(raw)).await;
    assert!(tail.iter().map(|event| event.seq).eq(1..=tail.len() as u64), "dense");
    let head = store.head(room(raw)).await.unwrap().unwrap();
    assert_eq!(head.position.seq.0, tail.len() as u64);
    tail.iter().filter_map(|event| event.key.as_ref()?.parse().ok()).collect()
}

async fn messages(folder: &Path, raw: u64) -> Vec<u64> {
    keys(&open(folder), raw).await
}

/// A store with one room and these messages, each in a record of its own, still open; and its image.
async fn with_messages(folder: &Path, count: u64) -> TempDir {
    let store = open(folder);
    create_room(&store, room(1)).await;
    say(&store, 1, 0..count).await;
    let image = crash_image(folder);
    assert_eq!(stored(image.path()), 0, "they are in the journal alone");
    image
}

/// Messages that are in the store's file of a folder, whatever its journal has.
fn stored(folder: &Path) -> usize {
    let copy = TempDir::new().unwrap();
    fs::copy(folder.join(STORE), copy.path().join(STORE)).unwrap();
    let database = redb::Database::open(copy.path().join(STORE)).unwrap();
    let messages = TableDefinition::<(u64, u64), &[u8]>::new("messages");
    let messages = database.begin_read().unwrap().open_table(messages).unwrap();
    usize::try_from(messages.len().unwrap()).unwrap()
}

/// Where the records of a journal stand, as their headers say.
fn records(folder: &Path) -> Vec<Range<u64>> {
    const HEADER_BYTES: u64 = 40;
    let bytes = fs::read(folder.join(JOURNAL)).unwrap();
    let number = |place: u64| {
        let rest = bytes.get(usize::try_from(place).unwrap()..).unwrap();
        u64::from_le_bytes(*rest.first_chunk().unwrap())
    };
    let (mark, mut records, mut place) = (number(8), Vec::new(), 0);
    loop {
        if number(place + 8) != mark || mark == 0 {
            return records;
        }
        let end = place + HEADER_BYTES + number(place + 32);
        records.push(place..end);
        place = end.next_multiple_of(64);
    }
}

fn flip(folder: &Path, place: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(folder.join(JOURNAL)).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, place).unwrap();
    file.write_all_at(&[byte[0] ^ 1], place).unwrap();
}

#[tokio::test]
async fn what_was_acked_is_there_after_a_crash_and_keys_still_count() {
    let folder = TempDir::new().unwrap();
    let image = with_messages(folder.path(), 20).await;
    let store = open(image.path());
    assert_eq!(keys(&store, 1).await, (0..20).collect::<Vec<_>>());
    let again = append(&store, room(1), vec![message(room(1), "7", "text")]).await.unwrap();
    assert!(matches!(again[..], [Outcome::Repeated(_)]), "{again:?}");
    say(&store, 1, 20..25).await;
    // A crash after a crash, and one while nothing is in the journal.
    let image = crash_image(image.path());
    assert_eq!(messages(image.path(), 1).await, (0..25).collect::<Vec<_>>());
    assert_eq!(messages(image.path(), 1).await, (0..25).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_commit_of_messages_costs_one_sync() {
    let (folder, mut registry) = (TempDir::new().unwrap(), Registry::default());
    let store = open_with(folder.path(), options(), &mut registry);
    create_room(&store, room(1)).await;
    let before = metric(&registry, "bobchat_store_fsyncs_total");
    say(&store, 1, 0..10).await;
    assert_eq!(metric(&registry, "bobchat_store_fsyncs_total"), before + 10.0);
}

#[tokio::test]
async fn of_a_torn_last_record_nothing_remains_and_the_rest_is_there() {
    let folder = TempDir::new().unwrap();
    for tear in [1, 39, 40, 41, 60, u64::MAX] {
        let image = with_messages(folder.path(), 5).await;
        fs::remove_file(folder.path().join(STORE)).unwrap();
        let Range { start: begin, end } = records(image.path())[4];
        let torn = begin.saturating_add(tear).min(end - 1);
        let file = fs::OpenOptions::new().write(true).open(image.path().join(JOURNAL)).unwrap();
        if tear.is_multiple_of(2) {
            // The file ends there, as when it was copied in parts.
            file.set_len(torn).unwrap();
        } else {
            // The end of the write did not reach the disk: what stood there before does.
            file.write_all_at(&vec![0; usize::try_from(end - torn).unwrap()], torn).unwrap();
        }
        let store = open(image.path());
        assert_eq!(keys(&store, 1).await, [0, 1, 2, 3], "torn at {tear}");
        say(&store, 1, 4..6).await;
        let image = crash_image(image.path());
        assert_eq!(messages(image.path(), 1).await, [0, 1, 2, 3, 4, 5]);
    }
}

#[tokio::test]
async fn a_flipped_byte_ends_the_replay_before_its_record() {
    let folder = TempDir::new().unwrap();
    let image = with_messages(folder.path(), 6).await;
    let records = records(image.path());
    assert_eq!(records.len(), 6);
    for (record, Range { start, end }) in records.into_iter().enumerate().step_by(2) {
        // In the checksum, the mark, the run, the number, the length, the rows.
        for place in [0, 8, 16, 24, 32, 39, 40, 60].map(|place| start + place).into_iter().chain([end - 1]) {
            let damaged = crash_image(image.path());
            flip(damaged.path(), place);
            assert_eq!(messages(damaged.path(), 1).await, (0..record as u64).collect::<Vec<_>>(), "byte {place}");
        }
    }
}

#[tokio::test]
async fn a_journal_that_belongs_to_another_state_or_another_store_is_ignored() {
    let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let foreign = with_messages(other.path(), 3).await;
    let store = open(folder.path());
    create_room(&store, room(1)).await;
    say(&store, 1, 0..3).await;
    let old = crash_image(folder.path());
    // A change takes the journal into the file, and what it holds from then on is something else.
    create_room(&store, room(2)).await;
    say(&store, 1, 3..5).await;
    let new = crash_image(folder.path());

    for (stale, what) in [(&old, "an older run"), (&foreign, "another store's")] {
        let mixed = crash_image(new.path());
        fs::copy(stale.path().join(JOURNAL), mixed.path().join(JOURNAL)).unwrap();
        assert_eq!(messages(mixed.path(), 1).await, [0, 1, 2], "{what}");
    }
    let mixed = crash_image(old.path());
    fs::copy(new.path().join(JOURNAL), mixed.path().join(JOURNAL)).unwrap();
    assert_eq!(messages(mixed.path(), 1).await, [0_u64; 0], "a newer run");
    fs::remove_file(new.path().join(JOURNAL)).unwrap();
    assert_eq!(messages(new.path(), 1).await, [0, 1, 2], "none");
}

#[tokio::test]
async fn records_of_an_earlier_run_behind_the_end_are_not_replayed() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    create_room(&store, room(1)).await;
    say(&store, 1, 0..9).await;
    create_room(&store, room(2)).await;
    // As long as the first records of the run before: what follows them is whole, and of that run.
    say(&store, 2, 0..2).await;
    let image = crash_image(folder.path());
    // Nine messages, and that room 2 was opened.
    assert_eq!(records(image.path()).len(), 10);
    let store = open(image.path());
    assert_eq!((keys(&store, 1).await.len(), keys(&store, 2).await), (9, vec![0, 1]));
}

#[tokio::test]
async fn a_full_journal_is_taken_into_the_file_and_nothing_is_lost() {
    let (folder, mut registry) = (TempDir::new().unwrap(), Registry::default());
    let store = open_with(folder.path(), options(), &mut registry);
    create_room(&store, room(1)).await;
    let text = "x".repeat(64 * 1024);
    let mut image = crash_image(folder.path());
    // 25 MiB: three times over, and one that ends anywhere.
    for first in (0..400).step_by(4) {
        let batch = (first..first + 4).map(|key: u64| message(room(1), &key.to_string(), &text)).collect();
        append(&store, room(1), batch).await.unwrap();
        if first == 120 || first == 396 {
            image = crash_image(folder.path());
            assert_eq!(messages(image.path(), 1).await, (0..first + 4).collect::<Vec<_>>());
        }
    }
    assert_eq!(metric(&registry, "bobchat_store_checkpoints_total"), 3.0);
    assert_eq!(fs::metadata(image.path().join(JOURNAL)).unwrap().len(), 8 << 20, "as long as ever");
    // More than a whole journal holds.
    let batch = (1000..1200).map(|key| message(room(1), &key.to_string(), &text)).collect();
    append(&store, room(1), batch).await.unwrap();
    let image = crash_image(folder.path());
    assert_eq!(messages(image.path(), 1).await, (0..400).chain(1000..1200).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_change_between_messages_keeps_its_place() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    create_room(&store, room(1)).await;
    say(&store, 1, 0..3).await;
    let joined = Body::Joined(MemberJoined { user: 9 });
    append(&store, room(1), vec![event(room(1), "joined", joined)]).await.unwrap();
    say(&store, 1, 3..6).await;
    let user = record::User { handle: "ann".to_owned(), ..record::User::default() };
    assert!(store.create_user(UserId::new(9).unwrap(), user, None).await.unwrap());
    say(&store, 1, 6..8).await;
    let image = crash_image(folder.path());
    let replayed = open(image.path());
    assert_eq!(tail(&replayed, room(1)).await, tail(&store, room(1)).await);
    assert_eq!(keys(&replayed, 1).await, (0..8).collect::<Vec<_>>());
    assert_eq!(replayed.users(&[UserId::new(9).unwrap()]).await.unwrap().len(), 1);
    let members = |store: Arc<EmbeddedStore>| async move { store.snapshot(room(1)).await.unwrap().unwrap() };
    assert_eq!(members(replayed).await.row.room.member_count, members(store).await.row.room.member_count);
}

#[tokio::test]
async fn an_idle_store_takes_its_journal_into_the_file() {
    let (folder, mut registry) = (TempDir::new().unwrap(), Registry::default());
    let options = EmbeddedOptions { checkpoint_when_idle: Duration::from_millis(20), ..options() };
    let store = open_with(folder.path(), options, &mut registry);
    create_room(&store, room(1)).await;
    say(&store, 1, 0..3).await;
    for _ in 0..2_400 {
        if metric(&registry, "bobchat_store_checkpoints_total") >= 1.0 && stored(crash_image(folder.path()).path()) == 3
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(stored(crash_image(folder.path()).path()), 3);
}

#[tokio::test]
async fn closing_leaves_nothing_in_the_journal() {
    let folder = TempDir::new().unwrap();
    drop(with_messages(folder.path(), 3).await);
    fs::remove_file(folder.path().join(JOURNAL)).unwrap();
    assert_eq!(messages(folder.path(), 1).await, [0, 1, 2]);
}

#[tokio::test]
async fn a_backup_has_what_the_journal_has_and_none_is_put_into_it() {
    let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (copy, data) = (elsewhere.path().join("copy"), elsewhere.path().join("data"));
    let store = open(folder.path());
    create_room(&store, room(1)).await;
    say(&store, 1, 0..3).await;
    store.backup(&copy).unwrap();
    say(&store, 1, 3..5).await;
    let image = crash_image(folder.path());
    fs::create_dir(&data).unwrap();
    fs::copy(image.path().join(JOURNAL), data.join(JOURNAL)).unwrap();
    let refused = restore(&copy, &data, 1).unwrap_err();
    assert!(refused.to_string().contains(JOURNAL), "it may have what a store that was moved away has not: {refused}");
    fs::remove_file(data.join(JOURNAL)).unwrap();
    restore(&copy, &data, 1).unwrap();
    // The very run that the backup was made in.
    fs::copy(image.path().join(JOURNAL), data.join(JOURNAL)).unwrap();
    assert_eq!(messages(&data, 1).await, [0, 1, 2]);
}

#[tokio::test]
async fn a_store_of_the_format_before_is_opened_and_marked() {
    let folder = TempDir::new().unwrap();
    drop(with_messages(folder.path(), 3).await);
    fs::remove_file(folder.path().join(JOURNAL)).unwrap();
    let format = |number: Option<u64>| {
        let database = redb::Database::open(folder.path().join(STORE)).unwrap();
        let transaction = database.begin_write().unwrap();
        let mut meta = transaction.open_table(TableDefinition::<&str, u64>::new("meta")).unwrap();
        if let Some(number) = number {
            meta.insert("format", number).unwrap();
            meta.remove("journal").unwrap();
        }
        let found = meta.get("format").unwrap().unwrap().value();
        drop(meta);
        transaction.commit().unwrap();
        found
    };
    format(Some(1));
    assert_eq!(messages(folder.path(), 1).await, [0, 1, 2]);
    assert_eq!(format(None), 2, "a version that knows no journal must not open it any more");
}

#[tokio::test]
async fn a_journal_whose_making_was_cut_short_is_finished() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(JOURNAL), [0; 1000]).unwrap();
    let image = with_messages(folder.path(), 3).await;
    assert_eq!(fs::metadata(folder.path().join(JOURNAL)).unwrap().len(), 8 << 20);
    assert_eq!(messages(image.path(), 1).await, [0, 1, 2]);
}

#[test]
fn a_journal_that_cannot_be_made_is_said() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join(JOURNAL)).unwrap();
    let clock = Arc::new(ManualClock::new(0));
    let error = EmbeddedStore::open(folder.path(), options(), clock, &mut Registry::default()).err().unwrap();
    assert!(matches!(&error, OpenError::Journal { .. }) && error.to_string().contains(JOURNAL), "{error}");
}
