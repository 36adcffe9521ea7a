use async_trait::async_trait;
use bobchat_proto::ids::DeviceId;
use bobchat_proto::record;

use super::MemoryStore;
use crate::ports::projection::add_signing_key;
use crate::ports::{Credentials, FamilyUpdate, Unavailable};

#[async_trait]
impl Credentials for MemoryStore {
    async fn create_family(&self, device: DeviceId, family: record::RefreshFamily) -> Result<(), Unavailable> {
        self.state().families.insert(device, family);
        Ok(())
    }

    async fn family(&self, device: DeviceId) -> Result<Option<record::RefreshFamily>, Unavailable> {
        Ok(self.state().families.get(&device).cloned())
    }

    async fn update_family(
        &self,
        device: DeviceId,
        old: &record::RefreshFamily,
        new: record::RefreshFamily,
    ) -> Result<FamilyUpdate, Unavailable> {
        let mut state = self.state();
        Ok(match state.families.get_mut(&device) {
            None => FamilyUpdate::Missing,
            Some(family) if family != old => FamilyUpdate::Changed(Box::new(family.clone())),
            Some(family) => {
                *family = new;
                FamilyUpdate::Done
            }
        })
    }

    async fn signing_keys(&self) -> Result<Vec<record::SigningKey>, Unavailable> {
        Ok(self.state().signing_keys.clone())
    }

    async fn add_signing_key(
        &self,
        newest: Option<&str>,
        key: record::SigningKey,
    ) -> Result<Vec<record::SigningKey>, Unavailable> {
        let mut state = self.state();
        add_signing_key(&mut state.signing_keys, newest, key);
        Ok(state.signing_keys.clone())
    }
}
