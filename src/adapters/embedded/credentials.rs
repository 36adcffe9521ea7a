use async_trait::async_trait;
use bobchat_actors::ports::projection::add_signing_key;
use bobchat_actors::ports::{Credentials, FamilyUpdate, Unavailable};
use bobchat_proto::ids::DeviceId;
use bobchat_proto::record;
use prost::Message as _;
use redb::{ReadTransaction, ReadableTable};

use super::EmbeddedStore;
use super::command::Growth;
use super::tables::{FAMILIES, SIGNING_KEYS, decode, get};
use super::transaction::Transaction;

#[async_trait]
impl Credentials for EmbeddedStore {
    async fn create_family(&self, device: DeviceId, family: record::RefreshFamily) -> Result<(), Unavailable> {
        let create = move |transaction: &mut Transaction<'_>| {
            transaction.table(FAMILIES)?.insert(device.get(), family.encode_to_vec().as_slice())?;
            Ok(())
        };
        Ok(self.write(Growth::Grows, 0, create).await?)
    }

    async fn family(&self, device: DeviceId) -> Result<Option<record::RefreshFamily>, Unavailable> {
        self.read(move |transaction| get(&transaction.open_table(FAMILIES)?, device.get())).await
    }

    async fn update_family(
        &self,
        device: DeviceId,
        old: &record::RefreshFamily,
        new: record::RefreshFamily,
    ) -> Result<FamilyUpdate, Unavailable> {
        let old = old.clone();
        let update = move |transaction: &mut Transaction<'_>| {
            let mut families = transaction.table(FAMILIES)?;
            let known: Option<record::RefreshFamily> = get(&families, device.get())?;
            if known.as_ref() != Some(&old) {
                transaction.unchanged();
                return Ok(known.map_or(FamilyUpdate::Missing, |known| FamilyUpdate::Changed(Box::new(known))));
            }
            families.insert(device.get(), new.encode_to_vec().as_slice())?;
            Ok(FamilyUpdate::Done)
        };
        Ok(self.write(Growth::Keeps, 0, update).await?)
    }

    async fn signing_keys(&self) -> Result<Vec<record::SigningKey>, Unavailable> {
        self.read(|transaction: &ReadTransaction| signing_keys(&transaction.open_table(SIGNING_KEYS)?)).await
    }

    async fn add_signing_key(
        &self,
        newest: Option<&str>,
        key: record::SigningKey,
    ) -> Result<Vec<record::SigningKey>, Unavailable> {
        let newest = newest.map(str::to_owned);
        let add = move |transaction: &mut Transaction<'_>| {
            let mut table = transaction.table(SIGNING_KEYS)?;
            let mut keys = signing_keys(&table)?;
            let is_added = add_signing_key(&mut keys, newest.as_deref(), key);
            match keys.last().filter(|_| is_added) {
                Some(added) => {
                    table.insert(added.kid.as_str(), added.encode_to_vec().as_slice())?;
                }
                None => transaction.unchanged(),
            }
            Ok(keys)
        };
        Ok(self.write(Growth::Grows, 0, add).await?)
    }
}

fn signing_keys(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Vec<record::SigningKey>, redb::Error> {
    let keys = table.range::<&str>(..)?.map(|row| decode(row?.1.value()));
    let mut keys: Vec<record::SigningKey> = keys.collect::<Result<_, _>>()?;
    keys.sort_by_key(|key| key.created_at);
    Ok(keys)
}
