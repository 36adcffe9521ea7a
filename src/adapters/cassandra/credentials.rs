//! Tokens and keys, shared by all nodes. Every change is a compare-and-set.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bobchat_actors::ports::projection::add_signing_key;
use bobchat_actors::ports::{Credentials, FamilyUpdate, Unavailable};
use bobchat_proto::ids::DeviceId;
use bobchat_proto::record;
use prost::Message as _;

use super::CassandraStore;
use super::error::Failure;

/// How long a family that has ended is kept, in seconds: its tokens are refused for what they are meanwhile.
const AFTER_THE_END: i64 = 24 * 60 * 60;
/// Families that last longer than this, in seconds, do not end by themselves: Cassandra 5 refuses a row that would
/// end after January 2038, unless it is told that no older version reads it.
const TTL_MAX: i64 = 5 * 365 * 24 * 60 * 60;
/// Compare-and-sets that are lost before one gives up. Each loss is another node's success.
const ATTEMPTS: usize = 32;

#[async_trait]
impl Credentials for CassandraStore {
    async fn create_family(&self, device: DeviceId, family: record::RefreshFamily) -> Result<(), Unavailable> {
        let values = (key(device), family.encode_to_vec(), self.ttl(&family));
        let made = self.compare_and_set(&self.statements.make_family, values).await?;
        if made || self.read_family(device, true).await?.is_some_and(|(_, known)| known == family) {
            return Ok(());
        }
        Err(Unavailable::new(format_args!("device {device} has a family already")))
    }

    async fn family(&self, device: DeviceId) -> Result<Option<record::RefreshFamily>, Unavailable> {
        Ok(self.read_family(device, false).await?.map(|(_, family)| family))
    }

    async fn update_family(
        &self,
        device: DeviceId,
        old: &record::RefreshFamily,
        new: record::RefreshFamily,
    ) -> Result<FamilyUpdate, Unavailable> {
        // Compared as it is understood, replaced as it is stored: a newer version may have stored more in it.
        let (stored, known) = match self.read_family(device, true).await? {
            None => return Ok(FamilyUpdate::Missing),
            Some((_, known)) if known != *old => return Ok(FamilyUpdate::Changed(Box::new(known))),
            Some(found) => found,
        };
        let heard = self.try_replace(device, &stored, &new).await;
        if let Ok(true) = heard {
            return Ok(FamilyUpdate::Done);
        }
        match (heard, self.read_family(device, true).await?) {
            // The hash of a new token is nobody else's: what stands is this update, whose answer was lost.
            (_, Some((_, now))) if now == new => Ok(FamilyUpdate::Done),
            (Err(failure), Some((_, now))) if now == known => Err(failure.into()),
            (_, Some((_, now))) => Ok(FamilyUpdate::Changed(Box::new(now))),
            (_, None) => Ok(FamilyUpdate::Missing),
        }
    }

    async fn signing_keys(&self) -> Result<Vec<record::SigningKey>, Unavailable> {
        Ok(self.read_keys(false).await?.keys()?)
    }

    async fn add_signing_key(
        &self,
        newest: Option<&str>,
        key: record::SigningKey,
    ) -> Result<Vec<record::SigningKey>, Unavailable> {
        for _ in 0..ATTEMPTS {
            let known = self.read_keys(true).await?;
            let mut keys = known.keys()?;
            if !add_signing_key(&mut keys, newest, key.clone()) {
                return Ok(keys);
            }
            let mut stored = known.0.clone().unwrap_or_default();
            stored.extend(keys.last().map(|key| (key.kid.clone(), key.encode_to_vec())));
            if self.compare_and_set(&self.statements.replace_signing_keys, (stored, known.0)).await? {
                return Ok(keys);
            }
        }
        Err(Unavailable::new("other nodes keep changing the signing keys"))
    }
}

impl CassandraStore {
    /// A family as it is stored, and as it is understood.
    async fn read_family(
        &self,
        device: DeviceId,
        serial: bool,
    ) -> Result<Option<(Vec<u8>, record::RefreshFamily)>, Failure> {
        let statement = if serial { &self.statements.family_serial } else { &self.statements.family };
        let rows = self.execute(statement, (key(device),)).await?.into_rows_result()?;
        let stored = rows.maybe_first_row::<(Option<Vec<u8>>,)>()?.and_then(|(stored,)| stored);
        let Some(stored) = stored else { return Ok(None) };
        let family = record::RefreshFamily::decode(stored.as_slice())?;
        Ok(Some((stored, family)))
    }

    async fn try_replace(&self, device: DeviceId, stored: &[u8], new: &record::RefreshFamily) -> Result<bool, Failure> {
        let values = (self.ttl(new), new.encode_to_vec(), key(device), stored);
        self.compare_and_set(&self.statements.replace_family, values).await
    }

    /// How long Cassandra keeps a family, in seconds; 0: for ever.
    fn ttl(&self, family: &record::RefreshFamily) -> i32 {
        let left = family.expires_at.saturating_sub(self.clock.now_micros()) / 1_000_000;
        let kept = left.max(0).saturating_add(AFTER_THE_END);
        i32::try_from(kept).ok().filter(|_| kept <= TTL_MAX).unwrap_or(0)
    }

    async fn read_keys(&self, serial: bool) -> Result<StoredKeys, Failure> {
        let statement = if serial { &self.statements.signing_keys_serial } else { &self.statements.signing_keys };
        let rows = self.execute(statement, ()).await?.into_rows_result()?;
        let row = rows.maybe_first_row::<(Option<BTreeMap<String, Vec<u8>>>,)>()?;
        Ok(StoredKeys(row.and_then(|(keys,)| keys)))
    }
}

/// Signing keys as they are stored, by `kid`; `None` before the first.
struct StoredKeys(Option<BTreeMap<String, Vec<u8>>>);

impl StoredKeys {
    /// Oldest first.
    fn keys(&self) -> Result<Vec<record::SigningKey>, Failure> {
        let stored = self.0.iter().flatten();
        let keys = stored.map(|(_, key)| record::SigningKey::decode(key.as_slice()));
        let mut keys = keys.collect::<Result<Vec<_>, _>>()?;
        keys.sort_by_key(|key| key.created_at);
        Ok(keys)
    }
}

fn key(device: DeviceId) -> i64 {
    device.get().cast_signed()
}
