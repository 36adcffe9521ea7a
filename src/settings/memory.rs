use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bobchat_actors::ports::Unavailable;
use bobchat_proto::record::SettingsVersion;

use super::{Added, SettingsStore};

/// The reference: versions in memory, in their order.
#[derive(Debug, Default)]
pub struct MemorySettings(Mutex<Vec<SettingsVersion>>);

impl MemorySettings {
    /// Loses everything, as when another state was restored.
    #[cfg(test)]
    pub(super) fn forget(&self) {
        self.versions().clear();
    }

    fn versions(&self) -> MutexGuard<'_, Vec<SettingsVersion>> {
        // Every change is one call: a thread that panicked left it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SettingsStore for MemorySettings {
    async fn newest(&self) -> Result<Option<SettingsVersion>, Unavailable> {
        Ok(self.versions().last().cloned())
    }

    async fn version(&self, number: u64) -> Result<Option<SettingsVersion>, Unavailable> {
        Ok(self.versions().iter().find(|version| version.number == number).cloned())
    }

    async fn below(&self, number: u64, limit: usize) -> Result<Vec<SettingsVersion>, Unavailable> {
        let versions = self.versions();
        Ok(versions.iter().rev().filter(|version| version.number < number).take(limit).cloned().collect())
    }

    async fn add(&self, version: SettingsVersion) -> Result<Added, Unavailable> {
        let mut versions = self.versions();
        if version.number != versions.last().map_or(1, |newest| newest.number.saturating_add(1)) {
            return Ok(Added::Refused);
        }
        versions.push(version);
        Ok(Added::Done)
    }
}
