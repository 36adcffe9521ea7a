use async_trait::async_trait;
use bobchat_proto::ids::DeviceId;
use bobchat_proto::record;

use super::Unavailable;

/// What came of replacing a refresh family.
#[derive(Debug, Clone, PartialEq)]
pub enum FamilyUpdate {
    /// It is replaced, durably.
    Done,
    /// Somebody else changed it first: this is what it is now.
    Changed(Box<record::RefreshFamily>),
    /// There is none.
    Missing,
}

/// Keeps what tokens are made of and judged by, for all nodes of a deployment.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// Keeps a new device's refresh family, durably.
    ///
    /// # Errors
    /// [`Unavailable`], as in every method here.
    async fn create_family(&self, device: DeviceId, family: record::RefreshFamily) -> Result<(), Unavailable>;

    /// Reads a family.
    async fn family(&self, device: DeviceId) -> Result<Option<record::RefreshFamily>, Unavailable>;

    /// Replaces a family if it still is `old`: two uses of one token never both succeed.
    async fn update_family(
        &self,
        device: DeviceId,
        old: &record::RefreshFamily,
        new: record::RefreshFamily,
    ) -> Result<FamilyUpdate, Unavailable>;

    /// Lists the signing keys, oldest first.
    async fn signing_keys(&self) -> Result<Vec<record::SigningKey>, Unavailable>;

    /// Adds a signing key, durably, if the newest one is still that of this name: of nodes that make one at once,
    /// one adds its own and the others find it. Returns the keys that stand now, oldest first.
    async fn add_signing_key(
        &self,
        newest: Option<&str>,
        key: record::SigningKey,
    ) -> Result<Vec<record::SigningKey>, Unavailable>;
}
