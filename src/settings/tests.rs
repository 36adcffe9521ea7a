//! Settings of a node over the reference store, which can be made to fail.

mod heeding;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bobchat_actors::ports::memory::ManualClock;

use super::*;
use crate::config::{Layers, Sources};

/// 2026-01-01.
const NOW: i64 = 1_767_225_600_000_000;

fn layers(text: &str) -> Arc<Layers> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.toml");
    std::fs::write(&file, text).unwrap();
    Arc::new(Layers::load(&Sources { file: Some(file), ..Sources::default() }).unwrap())
}

fn over(text: &str, store: &Arc<dyn SettingsStore>, node: &str) -> Settings {
    Settings::new(layers(text), store.clone(), Arc::new(ManualClock::new(NOW)), node.to_owned())
}

fn memory() -> Arc<dyn SettingsStore> {
    Arc::new(MemorySettings::default())
}

fn set(of: &[(&str, &str)]) -> Wish {
    let set = of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Wish::Change { set, unset: BTreeSet::new() }
}

fn unset(of: &[&str]) -> Wish {
    Wish::Change { set: BTreeMap::new(), unset: of.iter().map(|key| (*key).to_owned()).collect() }
}

fn ada() -> Author {
    Author { by: "ada".to_owned(), note: "why".to_owned() }
}

async fn value(settings: &Settings, key: &str) -> (String, String) {
    let held = settings.held().await.unwrap();
    let known = held.settings.into_iter().find(|known| known.key == key).unwrap();
    (known.value, known.origin)
}

fn told(error: ChangeError) -> Vec<String> {
    let ChangeError::Faults(faults) = error else { panic!("{error}") };
    faults.0.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_change_says_who_made_it_and_what_was_before() {
    let settings = over("[limits]\nsends_burst = 3", &memory(), "node-1");
    let first = settings.change(set(&[("limits.sends_burst", "4"), ("auth.guests", "true")]), Some(0), ada()).await;
    let first = first.unwrap();
    assert_eq!((first.version, first.at, first.by.as_str(), first.note.as_str()), (1, NOW, "ada", "why"));
    assert_eq!((first.through.as_str(), first.restores), ("node-1", None));
    let shown = |version: &VersionView| {
        let show = |change: &ChangeView| {
            format!("{} {} {} -> {} {}", change.key, change.from, change.from_own, change.to, change.to_own)
        };
        version.changes.iter().map(show).collect::<Vec<_>>()
    };
    assert_eq!(shown(&first), ["auth.guests true true -> true false", "limits.sends_burst 3 true -> 4 false"]);
    let second = settings.change(unset(&["limits.sends_burst"]), None, ada()).await.unwrap();
    assert_eq!(shown(&second), ["limits.sends_burst 4 false -> 3 true"]);
    assert_eq!(value(&settings, "auth.guests").await, ("true".to_owned(), "version 2".to_owned()), "it stays set");
    assert_eq!(settings.history(None, 9).await.unwrap().versions, [second, first.clone()]);
    assert_eq!(settings.history(Some(2), 9).await.unwrap().versions, [first]);
}

#[tokio::test]
async fn what_is_wrong_is_told_at_once_and_changes_nothing() {
    let settings = over("", &memory(), "node-1");
    let wish = Wish::Change {
        set: [
            ("limits.sends_burst", "0"),
            ("server.listen", "1.2.3.4:5"),
            ("redis.password", "hunter2"),
            ("limits.sends_brust", "4"),
            ("limits.room_idle", "7s"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into(),
        unset: ["limits.room_idle", "limits.rooms_per_user"].map(str::to_owned).into(),
    };
    let author = Author { by: "a\nb".to_owned(), note: "x".repeat(201) };
    let faults = told(settings.change(wish, None, author).await.unwrap_err());
    for (start, part) in [
        ("limits.sends_burst = \"0\" (from this change)", "expected 1 to"),
        ("server.listen", "is read at the start alone"),
        ("redis.password", "is read at the start alone"),
        ("limits.sends_brust", "no such key; these can change while nodes run: auth.guests, "),
        ("limits.room_idle", "both to be set and to be unset"),
        ("limits.rooms_per_user", "is not set"),
        ("by", "at most 200 letters on one line"),
        ("note", "at most 200 letters on one line"),
    ] {
        assert!(faults.iter().any(|fault| fault.starts_with(start) && fault.contains(part)), "{start} in {faults:#?}");
    }
    assert_eq!(faults.len(), 8, "{faults:#?}");
    assert!(!faults.concat().contains("hunter2"));
    assert_eq!(settings.held().await.unwrap().version, 0);
    let nothing = told(settings.change(unset(&[]), None, ada()).await.unwrap_err());
    assert!(nothing[0].contains("name a key"), "{nothing:?}");
}

#[tokio::test]
async fn of_two_operators_who_saw_the_same_version_the_second_is_told() {
    let store = memory();
    let [one, two] = ["node-1", "node-2"].map(|node| over("", &store, node));
    one.change(set(&[("limits.sends_burst", "4")]), Some(0), ada()).await.unwrap();
    let late = two.change(set(&[("limits.sends_burst", "5")]), Some(0), ada()).await.unwrap_err();
    assert!(matches!(late, ChangeError::Conflict { expected: 0, found: 1 }), "{late}");
    assert!(late.to_string().contains("version 1 stands, not 0"), "{late}");
    let both = tokio::join!(
        one.change(set(&[("limits.sends_burst", "6")]), None, ada()),
        two.change(set(&[("limits.sends_burst", "7")]), None, ada()),
    );
    // The reference answers at once, so they come one after the other; each made a version of its own.
    assert_eq!((both.0.unwrap().version, both.1.unwrap().version), (2, 3));
    let same = two.change(set(&[("limits.sends_burst", "7")]), None, ada()).await.unwrap_err();
    assert!(matches!(same, ChangeError::NothingChanges(3)), "{same}");
}

#[tokio::test]
async fn an_earlier_version_comes_back_as_a_new_one() {
    let settings = over("", &memory(), "node-1");
    let none = settings.roll_back(None, None, ada()).await.unwrap_err();
    assert!(matches!(none, ChangeError::NoSuchVersion(0)), "{none}");
    for burst in ["4", "5", "6"] {
        settings.change(set(&[("limits.sends_burst", burst)]), None, ada()).await.unwrap();
    }
    let back = settings.roll_back(None, None, ada()).await.unwrap();
    assert_eq!((back.version, back.restores), (4, Some(2)));
    assert_eq!(value(&settings, "limits.sends_burst").await, ("5".to_owned(), "version 4".to_owned()));
    let again = settings.roll_back(None, None, ada()).await.unwrap_err();
    assert!(matches!(again, ChangeError::RolledBack { newest: 4, restored: 2 }), "not what was taken back: {again}");
    let first = settings.roll_back(Some(1), Some(4), ada()).await.unwrap();
    assert_eq!((first.version, first.changes[0].from.as_str(), first.changes[0].to.as_str()), (5, "5", "4"));
    let all = settings.roll_back(Some(0), None, ada()).await.unwrap();
    assert_eq!((all.version, all.changes[0].to_own), (6, true));
    assert_eq!(value(&settings, "limits.sends_burst").await, ("10".to_owned(), "default".to_owned()));
    let unknown = settings.roll_back(Some(9), None, ada()).await.unwrap_err();
    assert!(matches!(unknown, ChangeError::NoSuchVersion(9)), "{unknown}");
    let late = settings.roll_back(Some(1), Some(5), ada()).await.unwrap_err();
    assert!(matches!(late, ChangeError::Conflict { expected: 5, found: 6 }), "{late}");
    settings.change(set(&[("limits.sends_burst", "8")]), None, ada()).await.unwrap();
    let back = settings.roll_back(None, None, ada()).await.unwrap();
    assert_eq!((back.version, back.restores), (8, Some(6)), "a change since may be taken back");
}

#[tokio::test]
async fn what_is_shown_says_where_each_value_comes_from() {
    let store = memory();
    let settings = over("[limits]\nsends_burst = 3\nrooms_per_user = 7", &store, "node-1");
    settings.change(set(&[("limits.sends_burst", "4")]), None, ada()).await.unwrap();
    assert_eq!(value(&settings, "limits.sends_burst").await, ("4".to_owned(), "version 1".to_owned()));
    assert!(value(&settings, "limits.rooms_per_user").await.1.ends_with("test.toml"));
    assert_eq!(value(&settings, "limits.frames_burst").await, ("100".to_owned(), "default".to_owned()));
    let held = settings.held().await.unwrap();
    assert!(held.settings.iter().any(|known| known.key == "server.listen" && !known.live));
    assert_eq!(held.settings.iter().filter(|known| known.live).count(), crate::config::LIVE_KEYS.len());
    let emergency = over("[server]\nlive_settings = false", &store, "node-2");
    assert_eq!(value(&emergency, "limits.sends_burst").await, ("10".to_owned(), "default".to_owned()));
    assert!(!emergency.held().await.unwrap().heeded);
}
