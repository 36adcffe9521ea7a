use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use bobchat::adapters::embedded::{EmbeddedStore, OpenError};
use bobchat::settings::SettingsStore as _;
use bobchat_actors::ports::memory::ManualClock;
use prometheus_client::registry::Registry;
use redb::{Database, TableDefinition};
use tempfile::TempDir;

use crate::support::{open, options};

fn refused(folder: &Path) -> OpenError {
    let clock = Arc::new(ManualClock::new(0));
    let error = EmbeddedStore::open(folder, options(), clock, &mut Registry::default()).err().expect("it is refused");
    let line = error.to_string();
    assert!(!line.contains('\n') && line.contains(folder.to_str().unwrap()), "one line that names it: {line}");
    error
}

fn numbered(folder: &Path, table: &str, key: &str, number: u64) {
    let database = Database::create(folder.join("bobchat.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    let definition = TableDefinition::<&str, u64>::new(table);
    transaction.open_table(definition).unwrap().insert(key, number).unwrap();
    transaction.commit().unwrap();
}

#[test]
fn a_new_store_is_private_and_leaves_nothing_else() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("a/data");
    drop(open(&data));
    let mut files: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["bobchat.journal", "bobchat.redb"]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join("bobchat.redb"))), (0o700, 0o600));
    assert_eq!(mode(&data.join("bobchat.journal")), 0o600);
}

/// As one that was made before there were settings.
#[tokio::test]
async fn a_store_that_lacks_a_table_gets_it_and_can_be_copied() {
    let folder = TempDir::new().unwrap();
    drop(open(folder.path()));
    let database = Database::create(folder.path().join("bobchat.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    assert!(transaction.delete_table(TableDefinition::<u64, &[u8]>::new("settings")).unwrap());
    transaction.commit().unwrap();
    drop(database);
    let store = open(folder.path());
    assert_eq!(store.newest().await.unwrap(), None);
    store.backup(&folder.path().join("copy")).unwrap();
}

#[test]
fn a_store_in_use_is_refused_after_a_while_and_free_when_closed() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    assert!(matches!(refused(folder.path()), OpenError::InUse(_)));
    drop(store);
    open(folder.path());
}

#[test]
fn a_store_that_is_let_go_of_soon_is_waited_for() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let closing = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        drop(store);
    });
    open(folder.path());
    closing.join().unwrap();
}

#[test]
fn what_is_not_a_store_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("bobchat.redb");
    for content in ["", "short", &"something else entirely ".repeat(1000)] {
        fs::write(&file, content).unwrap();
        assert!(matches!(refused(folder.path()), OpenError::Foreign(_)), "{content:.20}");
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
    }
    fs::remove_file(&file).unwrap();
    numbered(folder.path(), "somebody_elses", "format", 1);
    assert!(matches!(refused(folder.path()), OpenError::Foreign(_)));
}

#[test]
fn a_newer_format_is_refused() {
    let folder = TempDir::new().unwrap();
    drop(open(folder.path()));
    numbered(folder.path(), "meta", "format", 3);
    assert!(matches!(refused(folder.path()), OpenError::NewerFormat { found: 3, known: 2, .. }));
}

/// Or an upgrade could not be taken back.
#[test]
fn a_store_that_a_newer_version_has_added_to_is_opened() {
    let folder = TempDir::new().unwrap();
    drop(open(folder.path()));
    numbered(folder.path(), "added_later", "kept", 7);
    drop(open(folder.path()));
}

#[test]
fn a_damaged_file_is_refused() {
    let folder = TempDir::new().unwrap();
    drop(open(folder.path()));
    let file = folder.path().join("bobchat.redb");
    let mut bytes = fs::read(&file).unwrap();
    // Both commit slots of the header, but not the mark at its beginning.
    bytes[64..320].fill(0xA5);
    fs::write(&file, bytes).unwrap();
    assert!(matches!(refused(folder.path()), OpenError::Damaged { .. }));
}

#[test]
fn a_data_folder_that_cannot_be_made_is_refused() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(matches!(refused(&folder.path().join("file/data")), OpenError::Folder { .. }));
}
