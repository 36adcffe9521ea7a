use async_trait::async_trait;
use bobchat_actors::ports::Unavailable;
use bobchat_proto::record::SettingsVersion;
use prost::Message as _;
use redb::{ReadTransaction, ReadableTable as _};

use super::EmbeddedStore;
use super::command::Growth;
use super::tables::{SETTINGS, decode, get};
use super::transaction::Transaction;
use crate::settings::{Added, SettingsStore};

#[async_trait]
impl SettingsStore for EmbeddedStore {
    async fn newest(&self) -> Result<Option<SettingsVersion>, Unavailable> {
        let newest = |transaction: &ReadTransaction| {
            let table = transaction.open_table(SETTINGS)?;
            table.last()?.map(|(_, version)| decode(version.value())).transpose()
        };
        self.read(newest).await
    }

    async fn version(&self, number: u64) -> Result<Option<SettingsVersion>, Unavailable> {
        self.read(move |transaction| get(&transaction.open_table(SETTINGS)?, number)).await
    }

    async fn below(&self, number: u64, limit: usize) -> Result<Vec<SettingsVersion>, Unavailable> {
        let below = move |transaction: &ReadTransaction| {
            let table = transaction.open_table(SETTINGS)?;
            table.range(..number)?.rev().take(limit).map(|row| decode(row?.1.value())).collect()
        };
        self.read(below).await
    }

    async fn add(&self, version: SettingsVersion) -> Result<Added, Unavailable> {
        let add = move |transaction: &mut Transaction<'_>| {
            let mut table = transaction.table(SETTINGS)?;
            let newest = table.last()?.map_or(0, |(number, _)| number.value());
            if newest.checked_add(1) != Some(version.number) {
                transaction.unchanged();
                return Ok(Added::Refused);
            }
            table.insert(version.number, version.encode_to_vec().as_slice())?;
            Ok(Added::Done)
        };
        // Small and seldom, and what helps a server whose disk is full: it is not refused for want of space.
        Ok(self.write(Growth::Keeps, 0, add).await?)
    }
}
