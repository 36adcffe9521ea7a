use std::sync::Arc;

use bobchat_actors::ports::{Clock, Unavailable};
use bobchat_proto::record::SettingsVersion;

use super::change::{self, Author, ChangeError, Good, Wish};
use super::view::{HeldView, SettingView, VersionView, VersionsView};
use super::{Added, SettingsStore};
use crate::config::{LIVE_KEYS, Layers};

/// Versions of one page of the history.
const PAGE_MAX: usize = 100;

/// Settings as operators deal with them: read, changed, brought back. Whoever may call it has been let in.
#[derive(Clone)]
pub struct Settings {
    layers: Arc<Layers>,
    store: Arc<dyn SettingsStore>,
    clock: Arc<dyn Clock>,
    /// The node that changes go through, as it is told in the history.
    through: String,
}

impl Settings {
    /// The settings in `store`, as they look over this node's own configuration.
    #[must_use]
    pub fn new(layers: Arc<Layers>, store: Arc<dyn SettingsStore>, clock: Arc<dyn Clock>, through: String) -> Self {
        Self { layers, store, clock, through }
    }

    /// This node's own configuration.
    pub(super) fn layers(&self) -> &Layers {
        &self.layers
    }

    pub(super) fn now_micros(&self) -> i64 {
        self.clock.now_micros()
    }

    /// The newest version.
    pub(super) async fn newest(&self) -> Result<Option<SettingsVersion>, Unavailable> {
        self.store.newest().await
    }

    /// What holds for this node where `newest` stands. It follows from what is kept and from the node's own configuration
    /// alone: a node that starts goes by the version that it went by before.
    pub(super) async fn good(&self, newest: Option<SettingsVersion>) -> Result<Good, Unavailable> {
        let own = || change::read_own(&self.layers);
        let Some(newest) = newest else { return Ok(Good { version: None, read: own(), faults: None }) };
        let mut below = newest.number;
        let faults = match change::read(&self.layers, &newest) {
            Ok(read) => return Ok(Good { version: Some(newest), read, faults: None }),
            Err(faults) => Some(faults),
        };
        loop {
            let versions = self.store.below(below, PAGE_MAX).await?;
            let Some(last) = versions.last() else { return Ok(Good { version: None, read: own(), faults }) };
            below = last.number;
            for version in versions {
                if let Ok(read) = change::read(&self.layers, &version) {
                    return Ok(Good { version: Some(version), read, faults });
                }
            }
        }
    }

    /// What holds for this node, and by what.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn held(&self) -> Result<HeldView, Unavailable> {
        let newest = self.store.newest().await?;
        let heeded = self.layers.own().server.live_settings;
        let version = newest.as_ref().map_or(0, |version| version.number);
        let Good { version: holds, read, faults } = self.good(newest.filter(|_| heeded)).await?;
        let holds = holds.map_or(0, |version| version.number);
        let faults = faults.map(|faults| faults.0.iter().map(ToString::to_string).collect()).unwrap_or_default();
        let change::Read { effective, ignored, .. } = read;
        let settings = effective.into_iter().map(|known| {
            let key = format!("{}.{}", known.section, known.key);
            let origin = known.origin.unwrap_or_else(|| "default".to_owned());
            SettingView { live: LIVE_KEYS.contains(&key.as_str()), key, value: known.value, origin }
        });
        Ok(HeldView { version, holds, heeded, faults, ignored, settings: settings.collect() })
    }

    /// Versions below a number, newest first; without one the newest of all.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn history(&self, below: Option<u64>, limit: usize) -> Result<VersionsView, Unavailable> {
        let versions = self.store.below(below.unwrap_or(u64::MAX), limit.min(PAGE_MAX)).await?;
        Ok(VersionsView { versions: versions.into_iter().map(VersionView::from).collect() })
    }

    /// Makes the next version, if `if_version` is the one that stands (without it, whichever does), and returns it. It
    /// is judged as a whole before it is kept; no node has applied it yet.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn change(
        &self,
        wish: Wish,
        if_version: Option<u64>,
        author: Author,
    ) -> Result<VersionView, ChangeError> {
        let stands = self.store.newest().await?;
        let found = stands.as_ref().map_or(0, |version| version.number);
        if let Some(expected) = if_version.filter(|expected| *expected != found) {
            return Err(ChangeError::Conflict { expected, found });
        }
        let holds = self.good(stands.clone()).await?;
        let next = change::next(&self.layers, (stands.as_ref(), &holds), wish, author)?;
        let token = getrandom::u64().map_err(Unavailable::new)?;
        let (at, through) = (self.clock.now_micros(), self.through.clone());
        let version = SettingsVersion { token, at, through, ..next };
        match self.store.add(version.clone()).await.map_err(ChangeError::Unknown)? {
            Added::Done => {
                let (by, changes) = (version.by.as_str(), summary(&version));
                tracing::info!(settings.version = version.number, by, changes, "an operator changed settings");
                Ok(version.into())
            }
            Added::Refused => {
                let now = self.store.newest().await?.map_or(0, |version| version.number);
                Err(ChangeError::Conflict { expected: found, found: now })
            }
        }
    }

    /// Makes a version with the settings of an earlier one; without a number, of the one before the newest. Where that is a
    /// rollback itself a number is needed: whoever repeats a rollback that seemed to fail must not bring back what it took
    /// back, nor take back what was there before.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn roll_back(
        &self,
        to: Option<u64>,
        if_version: Option<u64>,
        author: Author,
    ) -> Result<VersionView, ChangeError> {
        let newest = self.store.newest().await?;
        let restored = newest.as_ref().and_then(|version| version.restores);
        let newest = newest.map_or(0, |version| version.number);
        let number = match (to, restored) {
            (Some(number), _) => number,
            (None, Some(restored)) => return Err(ChangeError::RolledBack { newest, restored }),
            (None, None) => newest.checked_sub(1).ok_or(ChangeError::NoSuchVersion(0))?,
        };
        let settings = match number {
            0 => Vec::new(),
            _ => self.store.version(number).await?.ok_or(ChangeError::NoSuchVersion(number))?.settings,
        };
        // What is brought back was found for the version that was read.
        let if_version = if_version.or(Some(newest).filter(|_| to.is_none()));
        self.change(Wish::Restore { number, settings }, if_version, author).await
    }
}

/// A change on one line of the log.
fn summary(version: &SettingsVersion) -> String {
    let change =
        |change: &bobchat_proto::record::SettingChange| format!("{} {} -> {}", change.key, change.from, change.to);
    version.changes.iter().map(change).collect::<Vec<_>>().join(", ")
}
