use std::collections::{BTreeMap, BTreeSet};

use bobchat_actors::ports::Unavailable;
use bobchat_proto::record::{Setting, SettingChange, SettingsVersion};

use crate::config::{Config, Effective, Fault, Faults, LIVE_KEYS, Layers, Mutability};

/// Bytes of one value: the longest is a filter for the log with some dozen modules.
const VALUE_BYTES_MAX: usize = 1024;

/// Letters of what an operator says of themselves and of a change.
const SAID_LETTERS_MAX: usize = 200;

/// Who changes settings, and what for. Who may change them is decided by the secret of the operator's listener, or by
/// the rights on the data folder; this is what they say, and nobody checks it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Author {
    /// Who.
    pub by: String,
    /// What for.
    pub note: String,
}

/// What an operator wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Other values for some keys.
    Change {
        /// Key and value.
        set: BTreeMap<String, String>,
        /// Keys that shall have each node's own value again.
        unset: BTreeSet<String>,
    },
    /// All settings as they were after a version; 0: none.
    Restore {
        /// The version.
        number: u64,
        /// Its settings.
        settings: Vec<Setting>,
    },
}

/// Why settings were not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Something in it is wrong; all that is.
    #[error("{0}")]
    Faults(#[from] Faults),
    /// Another version stands than the one that the change was made for.
    #[error(
        "version {found} stands, not {expected}: look at what was changed (bobchat config history), then try again"
    )]
    Conflict {
        /// The version that was expected.
        expected: u64,
        /// The one that stands.
        found: u64,
    },
    /// There is no such version to go back to.
    #[error("there is no version {0}; bobchat config history lists them")]
    NoSuchVersion(u64),
    /// The newest version is a rollback, and nobody said to which version to go: the one before it is what was taken back.
    #[error(
        "version {newest} is a rollback already, to version {restored}: say which version to go back to; bobchat config \
         history lists them"
    )]
    RolledBack {
        /// The newest version.
        newest: u64,
        /// The one that it brought back.
        restored: u64,
    },
    /// It is so already.
    #[error("nothing would change: these settings stand already, as version {0}")]
    NothingChanges(u64),
    /// The store does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The store did not say whether it keeps the change. Look, then ask again if need be.
    #[error("it is not known whether the change stands, bobchat config history says: {0}")]
    Unknown(Unavailable),
}

/// Settings by key.
pub(super) type ByKey = BTreeMap<String, String>;

pub(super) fn by_key(version: Option<&SettingsVersion>) -> ByKey {
    let settings = version.into_iter().flat_map(|version| &version.settings);
    settings.map(|setting| (setting.key.clone(), setting.value.clone())).collect()
}

/// What holds for a node under a version, and what of it its program does not know.
pub(super) struct Read {
    pub(super) config: Config,
    pub(super) effective: Vec<Effective>,
    pub(super) ignored: Vec<String>,
}

/// What holds for a node that goes by settings: the newest version that is good for it.
pub(super) struct Good {
    /// The version; none for the node's own configuration.
    pub(super) version: Option<SettingsVersion>,
    /// What it comes to.
    pub(super) read: Read,
    /// What is wrong with the newest version of all, where that is another one.
    pub(super) faults: Option<Faults>,
}

/// Reads a version over a node's own configuration. Keys that this program cannot change are left out: a node of a
/// newer program set them.
pub(super) fn read(layers: &Layers, version: &SettingsVersion) -> Result<Read, Faults> {
    read_from(layers, by_key(Some(version)), &format!("version {}", version.number))
}

/// A node's own configuration, which was found good at its start.
pub(super) fn read_own(layers: &Layers) -> Read {
    Read { config: layers.own().clone(), effective: layers.effective().to_vec(), ignored: Vec::new() }
}

fn read_from(layers: &Layers, settings: ByKey, origin: &str) -> Result<Read, Faults> {
    let (known, unknown): (ByKey, ByKey) =
        settings.into_iter().partition(|(key, _)| layers.mutability(key) == Mutability::Live);
    let (config, effective) = layers.under(&known, origin)?;
    Ok(Read { config, effective, ignored: unknown.into_keys().collect() })
}

/// The version that a wish makes of the one that stands, told as a change of what holds for this node; its token and its
/// time are not in it yet.
pub(super) fn next(
    layers: &Layers,
    (stands, holds): (Option<&SettingsVersion>, &Good),
    wish: Wish,
    author: Author,
) -> Result<SettingsVersion, ChangeError> {
    let mut faults = said_faults(&author);
    let (before, number) = (by_key(stands), stands.map_or(0, |version| version.number));
    let (wanted, restores) = match wish {
        Wish::Change { set, unset } => {
            faults.extend(wish_faults(layers, &before, &set, &unset));
            let kept = before.clone().into_iter().filter(|(key, _)| !unset.contains(key));
            (kept.chain(set).collect::<ByKey>(), None)
        }
        Wish::Restore { number, settings } => {
            let restored = settings.into_iter().map(|setting| (setting.key, setting.value));
            (restored.collect(), Some(number))
        }
    };
    let settings = wanted.iter().map(|(key, value)| Setting { key: key.clone(), value: value.clone() }).collect();
    let by_number = number.saturating_add(1);
    let version = SettingsVersion {
        number: by_number,
        by: author.by,
        note: author.note,
        restores,
        settings,
        ..SettingsVersion::default()
    };
    // What is no key, or none that can change, is told together with what is wrong with the others.
    let after = read_from(layers, wanted.clone(), "this change").map_err(|more| faults.extend(more.0)).ok();
    let Some(after) = after.filter(|_| faults.is_empty()) else { return Err(Faults(faults).into()) };
    if wanted == before {
        return Err(ChangeError::NothingChanges(number));
    }
    let held = by_key(holds.version.as_ref());
    let changes = changes(&before, (&held, &holds.read.effective), (&wanted, &after.effective));
    Ok(SettingsVersion { changes, ..version })
}

/// What became different from the version that stood, in the order of keys, with what held for this node, which may have
/// refused that version, and with what holds after it.
fn changes(stood: &ByKey, before: (&ByKey, &[Effective]), after: (&ByKey, &[Effective])) -> Vec<SettingChange> {
    let keys: BTreeSet<&String> = stood.keys().chain(after.0.keys()).collect();
    let changed = keys.into_iter().filter(|key| stood.get(*key) != after.0.get(*key));
    let shown = |(settings, effective): (&ByKey, &[Effective]), key: &String| {
        let known = effective.iter().find(|known| is_of(known, key)).map(|known| known.value.clone());
        // Of a key that only a newer program knows there is nothing but the setting.
        known.or_else(|| settings.get(key).cloned()).unwrap_or_default()
    };
    changed
        .map(|key| SettingChange {
            key: key.clone(),
            from: shown(before, key),
            from_own: !before.0.contains_key(key),
            to: shown(after, key),
            to_own: !after.0.contains_key(key),
        })
        .collect()
}

pub(super) fn is_of(effective: &Effective, key: &str) -> bool {
    key.split_once('.') == Some((&effective.section, &effective.key))
}

fn wish_faults(layers: &Layers, stands: &ByKey, set: &ByKey, unset: &BTreeSet<String>) -> Vec<Fault> {
    let mut faults = Vec::new();
    if set.is_empty() && unset.is_empty() {
        faults.push(fault("set, unset", "nothing is to be changed; name a key"));
    }
    for (key, value) in set {
        match layers.mutability(key) {
            Mutability::Live if value.len() > VALUE_BYTES_MAX => {
                faults.push(fault(key, format!("the value is longer than {VALUE_BYTES_MAX} bytes")));
            }
            Mutability::Live if unset.contains(key) => faults.push(fault(key, "is both to be set and to be unset")),
            Mutability::Live => {}
            Mutability::AtStart => faults
                .push(fault(key, "is read at the start alone: set it in the file or the environment, then restart")),
            Mutability::Unknown => {
                let keys = LIVE_KEYS.join(", ");
                faults.push(fault(key, format!("no such key; these can change while nodes run: {keys}")));
            }
        }
    }
    let stray = unset.iter().filter(|key| !stands.contains_key(*key) && !set.contains_key(*key));
    faults.extend(stray.map(|key| fault(key, "is not set: each node goes by its own value already")));
    faults
}

/// What people said stands in logs and tables as it is.
fn said_faults(author: &Author) -> Vec<Fault> {
    let is_bad = |text: &str| text.chars().count() > SAID_LETTERS_MAX || text.chars().any(char::is_control);
    let expected = format!("expected at most {SAID_LETTERS_MAX} letters on one line");
    let bad = [("by", &author.by), ("note", &author.note)].into_iter().filter(|(_, text)| is_bad(text));
    bad.map(|(name, _)| fault(name, expected.clone())).collect()
}

fn fault(key: &str, expected: impl Into<String>) -> Fault {
    Fault { key: key.to_owned(), value: None, origin: None, expected: expected.into() }
}
