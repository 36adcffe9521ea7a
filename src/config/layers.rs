use std::collections::BTreeMap;
use std::fmt;

use config::{Map, Value, ValueKind};

use super::read::Reader;
use super::{Auth, Config, Effective, Fault, Faults, Limits, Sources, Telemetry};
use crate::secret::Secret;

/// The keys that may change while nodes run (`bobchat config set`), in the order of config.toml. Whatever has one of
/// them follows it within seconds, for who is connected too.
///
/// What is not among them is read once: where a node listens and keeps its data, what it shares with others, secrets,
/// and what running actors and threads are built on.
pub const LIVE_KEYS: [&str; 19] = [
    "auth.guests",
    "limits.sends_burst",
    "limits.sends_per_second",
    "limits.frames_burst",
    "limits.frames_per_second",
    "limits.frame_bytes_per_second",
    "limits.pages_burst",
    "limits.pages_per_second",
    "limits.connections_per_user",
    "limits.connections_per_address_before_auth",
    "limits.rooms_per_user",
    "limits.outbound_bytes_max",
    "limits.outbound_bytes_total_max",
    "limits.requests_in_flight",
    "limits.guests_burst",
    "limits.guests_per_minute",
    "limits.room_idle",
    "telemetry.log_filter",
    "telemetry.trace_sample_ratio",
];

/// The sections that have them: those are read again, whole, when one of their keys is set.
const LIVE_SECTIONS: [&str; 3] = ["auth", "limits", "telemetry"];

/// Whether a key can change while the node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutability {
    /// It can.
    Live,
    /// It is read at the start.
    AtStart,
    /// This program has no such key.
    Unknown,
}

/// A node's own configuration, kept as it was written, so that what operators set later can be laid over it and the
/// whole be judged as at the start.
///
/// Each section is read by itself (`[redis]`, `[cassandra]` and `[cluster]` together), so those without a key that can
/// change need not be read again: their files of secrets may have been renewed or taken away since. What is judged over
/// all of them, for production, is judged over what was read of those at the start.
#[derive(Clone)]
pub struct Layers {
    config: Config,
    effective: Vec<Effective>,
    /// As it was written, of [`LIVE_SECTIONS`] alone.
    raw: Map<String, Value>,
}

/// What was written may hold secrets.
impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Layers {
    /// Reads a node's own configuration.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load(sources: &Sources) -> Result<Self, Faults> {
        let mut raw = sources.collect()?;
        let (config, effective) = Config::read(Reader::new(raw.clone()))?;
        raw.retain(|section, _| LIVE_SECTIONS.contains(&section.as_str()));
        keep_secret(&mut raw, "telemetry", "otlp_authorization", config.telemetry.otlp_authorization.as_ref());
        Ok(Self { config, effective, raw })
    }

    /// The configuration without settings.
    #[must_use]
    pub fn own(&self) -> &Config {
        &self.config
    }

    /// Whether a key can change while the node runs.
    #[must_use]
    pub fn mutability(&self, key: &str) -> Mutability {
        let is_known = |effective: &Effective| key == format!("{}.{}", effective.section, effective.key);
        match () {
            () if LIVE_KEYS.contains(&key) => Mutability::Live,
            () if self.effective.iter().any(is_known) || key.starts_with("auth.external") => Mutability::AtStart,
            () => Mutability::Unknown,
        }
    }

    /// What holds for each key without settings.
    #[must_use]
    pub fn effective(&self) -> &[Effective] {
        &self.effective
    }

    /// The configuration under these settings of [`LIVE_KEYS`], and what holds for each key; `origin` says of a setting
    /// where it comes from.
    ///
    /// # Errors
    /// [`Faults`], all of them, as at the start: a value that is not allowed, or values that contradict each other or
    /// the node's own.
    pub fn under(&self, settings: &BTreeMap<String, String>, origin: &str) -> Result<(Config, Vec<Effective>), Faults> {
        let mut raw = self.raw.clone();
        for (key, value) in settings {
            lay(&mut raw, key, value, origin)?;
        }
        let others = self.effective.iter().filter(|effective| !LIVE_SECTIONS.contains(&effective.section.as_str()));
        let mut reader = Reader::over(others.cloned().collect(), raw);
        let (auth, limits, telemetry) =
            (Auth::read(&mut reader), Limits::read(&mut reader), Telemetry::read(&mut reader));
        let config = Config { auth, limits, telemetry, ..self.config.clone() };
        config.judge(&mut reader);
        let read = reader.finish()?;
        // What cannot change is shown as it was: a secret with the file that it came from.
        let is_same = |known: &Effective, read: &Effective| (&read.section, &read.key) == (&known.section, &known.key);
        let now = |known: &Effective| read.iter().find(|read| is_live(read) && is_same(known, read)).cloned();
        let effective = self.effective.iter().map(|known| now(known).unwrap_or_else(|| known.clone()));
        Ok((config, effective.collect()))
    }

    /// The same node, with what production refuses and a start in production would have refused.
    #[cfg(test)]
    pub(super) fn in_production(mut self) -> Self {
        self.config.server.production = true;
        self
    }
}

fn is_live(known: &Effective) -> bool {
    LIVE_KEYS.contains(&format!("{}.{}", known.section, known.key).as_str())
}

/// Has a section hold a secret itself, not the file of it: that may be renewed or taken away while the node runs, which
/// must not make settings wrong that have nothing to do with it.
fn keep_secret(raw: &mut Map<String, Value>, section: &str, key: &str, secret: Option<&Secret>) {
    let (Some(secret), Some(section)) = (secret, raw.get_mut(section)) else { return };
    if let ValueKind::Table(keys) = &mut section.kind
        && keys.remove(&format!("{key}_file")).is_some()
    {
        keys.insert(key.to_owned(), Value::new(None, ValueKind::String(secret.reveal().to_owned())));
    }
}

/// Puts a setting where its key stands. It is text, as in the environment: the reader of each key knows its type.
fn lay(raw: &mut Map<String, Value>, key: &str, value: &str, origin: &str) -> Result<(), Faults> {
    let place = key.split_once('.').filter(|_| LIVE_KEYS.contains(&key));
    let Some((section, name)) = place else {
        let expected = "cannot be changed while nodes run".to_owned();
        return Err(Faults(vec![Fault { key: key.to_owned(), value: None, origin: None, expected }]));
    };
    let origin = origin.to_owned();
    let setting = Value::new(Some(&origin), ValueKind::String(value.to_owned()));
    let empty = || Value::new(None, ValueKind::Table(Map::new()));
    if let ValueKind::Table(keys) = &mut raw.entry(section.to_owned()).or_insert_with(empty).kind {
        keys.insert(name.to_owned(), setting);
    }
    Ok(())
}
