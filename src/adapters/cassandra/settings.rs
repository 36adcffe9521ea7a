//! Settings of operators. Each version is a row that is made once.

use async_trait::async_trait;
use bobchat_actors::ports::Unavailable;
use bobchat_proto::record::SettingsVersion;
use prost::Message as _;
use scylla::response::query_result::QueryResult;
use scylla::statement::prepared::PreparedStatement;

use super::CassandraStore;
use super::error::Failure;
use super::room_log::number;
use crate::settings::{Added, SettingsStore};

#[async_trait]
impl SettingsStore for CassandraStore {
    async fn newest(&self) -> Result<Option<SettingsVersion>, Unavailable> {
        Ok(self.newest_settings().await?)
    }

    async fn version(&self, number: u64) -> Result<Option<SettingsVersion>, Unavailable> {
        Ok(self.settings_of(&self.statements.settings_version, number).await?)
    }

    async fn below(&self, below: u64, limit: usize) -> Result<Vec<SettingsVersion>, Unavailable> {
        Ok(self.settings_below(below, limit).await?)
    }

    /// Whether it is ours is decided by what stands afterwards: its token, which nobody else has. Without a version
    /// there the attempt may still be on its way.
    async fn add(&self, version: SettingsVersion) -> Result<Added, Unavailable> {
        let newest = self.newest_settings().await?.map_or(0, |newest| newest.number);
        // Versions are never removed: the one that this follows stays the newest until this one or another is made.
        if newest.checked_add(1) != Some(version.number) {
            return Ok(Added::Refused);
        }
        let values = (number(version.number), version.encode_to_vec());
        let heard = self.compare_and_set(&self.statements.make_settings, values).await;
        if let Ok(true) = heard {
            return Ok(Added::Done);
        }
        let stands = self.settings_of(&self.statements.settings_version_serial, version.number).await?;
        match (stands, heard) {
            (Some(stands), _) if stands.token == version.token => Ok(Added::Done),
            (Some(_), _) => Ok(Added::Refused),
            (None, Err(failure)) => Err(failure.into()),
            (None, Ok(_)) => Err(Unavailable::new("a version of the settings was refused, and none stands there")),
        }
    }
}

impl CassandraStore {
    async fn newest_settings(&self) -> Result<Option<SettingsVersion>, Failure> {
        let answer = self.execute(&self.statements.settings_newest, ()).await?;
        Ok(versions(answer)?.into_iter().next())
    }

    async fn settings_of(
        &self,
        statement: &PreparedStatement,
        number: u64,
    ) -> Result<Option<SettingsVersion>, Failure> {
        let answer = self.execute(statement, (number_of(number),)).await?;
        Ok(versions(answer)?.into_iter().next())
    }

    async fn settings_below(&self, below: u64, limit: usize) -> Result<Vec<SettingsVersion>, Failure> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        if limit == 0 {
            return Ok(Vec::new());
        }
        versions(self.execute(&self.statements.settings_below, (number_of(below), limit)).await?)
    }
}

/// There are never as many as the integers of the tables hold.
fn number_of(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn versions(answer: QueryResult) -> Result<Vec<SettingsVersion>, Failure> {
    let rows = answer.into_rows_result()?;
    let decode = |row: (Option<Vec<u8>>,)| {
        let lacks = || Failure("a row of settings lacks its version".to_owned());
        Ok(SettingsVersion::decode(row.0.ok_or_else(lacks)?.as_slice())?)
    };
    rows.rows::<(Option<Vec<u8>>,)>()?.map(|row| decode(row?)).collect()
}
