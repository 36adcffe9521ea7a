use async_trait::async_trait;
use bobchat_actors::ports::Unavailable;
use bobchat_proto::record::SettingsVersion;

/// What came of adding a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It stands, durably.
    Done,
    /// Somebody else made a version of this number, or it does not follow the newest one.
    Refused,
}

/// Keeps the versions of the settings, for all nodes of a deployment. A version is never changed nor removed: they are
/// made by people, so there are few.
#[async_trait]
pub trait SettingsStore: Send + Sync {
    /// The newest version. Sees every version whose adding has returned.
    ///
    /// # Errors
    /// [`Unavailable`], as in every method here.
    async fn newest(&self) -> Result<Option<SettingsVersion>, Unavailable>;

    /// A version by its number.
    async fn version(&self, number: u64) -> Result<Option<SettingsVersion>, Unavailable>;

    /// Up to `limit` versions below a number, the newest of them first.
    async fn below(&self, number: u64, limit: usize) -> Result<Vec<SettingsVersion>, Unavailable>;

    /// Adds a version behind the newest one. Of several that are added under one number at once one is, and the others
    /// are told. Its token tells it from those.
    ///
    /// # Errors
    /// [`Unavailable`]: it is not known whether it stands, and it may do so later. Read what stands.
    async fn add(&self, version: SettingsVersion) -> Result<Added, Unavailable>;
}
