//! Brings a keyspace up to date, however many nodes start at once.
//!
//! Cassandra does not order changes of its schema: two nodes that make the same table at the same time may be left
//! with two. So a node takes a lease by compare and set before each step, on the one row of `schema_version`, and the
//! step counts by compare and set as well. Only that table itself cannot be protected so; it is made under an
//! identifier that follows from the keyspace's name, so that making it twice is making the same.
//!
//! A second row of it says which version a program must know at least ([`Step::oldest`]). It is raised before a step
//! that older programs cannot work with is begun: none of them starts in the middle of it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures_util::future::BoxFuture;
use scylla::client::session::Session;
use scylla::response::query_result::QueryResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::Consistency;
use scylla::statement::unprepared::Statement;
use tokio::time::Instant;
use tracing::{info, warn};

use super::Values;
use super::cas::applied;
use super::error::{Failure, OpenError};
use super::options::{Keyspace, Replication};
use super::statements::qualified;
use super::steps::{STEPS, Step, newest, oldest_at};

/// The row of `schema_version` that says the version.
const VERSION: i32 = 0;
/// The row that says the oldest version that a program must know.
const OLDEST: i32 = 1;

/// A step by one node ends within this time, or another one may do it again: far more than a few tables take.
const LEASE_SECONDS: i32 = 60;
/// How long others are waited for: their lease, and as long again for the rest.
const PATIENCE: Duration = Duration::from_secs(120);
/// Failures before one gives up. What another node is making at this moment may be known to one server and not to
/// the next, or to none as a whole; all that is done here can be done again.
const FAILURES_MAX: u32 = 20;
/// How often the version is looked at while another node works.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// What one change of the schema may take: on a busy cluster the nodes take seconds to agree.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(30);

/// A keyspace's schema as it stands, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaStatus {
    /// The version that it has; 0 before the first step, and where there is no keyspace.
    pub version: u32,
    /// The oldest that a program must know to work with it.
    pub oldest: u32,
    /// The newest that this version of Bobchat knows.
    pub known: u32,
    /// How many nodes keep each row, in the datacenter that has the fewest; `None` where there is no keyspace.
    pub replication: Option<u32>,
}

impl SchemaStatus {
    /// The steps that are still to be done.
    pub fn missing(&self) -> impl Iterator<Item = &'static Step> {
        let version = self.version;
        STEPS.iter().filter(move |step| step.version > version)
    }

    /// Whether this version of Bobchat can work with it, once it has made what is missing.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        self.oldest <= self.known
    }
}

/// What a keyspace has, and what it asks of programs.
#[derive(Debug, Clone, Copy, Default)]
struct Stand {
    version: u32,
    oldest: u32,
}

/// A keyspace, and the session that changes it.
pub(super) struct Schema<'a> {
    pub(super) session: &'a Session,
    pub(super) keyspace: &'a Keyspace,
}

impl Schema<'_> {
    /// Reads what there is, and changes nothing.
    pub(super) async fn show(&self) -> Result<SchemaStatus, OpenError> {
        let replication = self.replication().await.map_err(|cause| self.failed(cause))?;
        let made = replication.is_some() && self.has_versions().await.map_err(|cause| self.failed(cause))?;
        let Stand { version, oldest } =
            if made { self.stand().await.map_err(|cause| self.failed(cause))? } else { Stand::default() };
        Ok(SchemaStatus { version, oldest, known: newest(), replication })
    }

    /// Makes what is missing and uses the keyspace from now on.
    pub(super) async fn bring_up_to_date(&self, replication: &Replication) -> Result<(), OpenError> {
        let keyspace = || self.keyspace.as_str().to_owned();
        let give_up_at = Instant::now() + PATIENCE;
        let mut failures = 0_u32;
        loop {
            match self.advance(replication).await {
                Ok(Stand { version: found, oldest }) if oldest > newest() => {
                    return Err(OpenError::NewerSchema { keyspace: keyspace(), found, oldest, known: newest() });
                }
                Ok(Stand { version, .. }) if version >= newest() => {
                    return self.settle(version).await.map_err(|cause| self.failed(cause));
                }
                Ok(_) if Instant::now() > give_up_at => return Err(OpenError::SchemaBusy { keyspace: keyspace() }),
                Ok(_) => {}
                Err(cause) if failures >= FAILURES_MAX || Instant::now() > give_up_at => {
                    return Err(self.failed(cause));
                }
                Err(_) => failures = failures.saturating_add(1),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Makes what is missing, unless another node is at it; returns what stands.
    async fn advance(&self, replication: &Replication) -> Result<Stand, Failure> {
        self.begin(replication).await?;
        let mut stand = self.stand().await?;
        while let Some(step) = STEPS.iter().find(|step| step.version > stand.version) {
            if !self.take(step, stand).await? {
                break;
            }
            stand = Stand { version: step.version, oldest: stand.oldest.max(step.oldest) };
        }
        Ok(stand)
    }

    /// Makes the keyspace and the row that says its version.
    async fn begin(&self, replication: &Replication) -> Result<(), Failure> {
        let name = self.keyspace.as_str();
        // Looked for first: who may use a keyspace may not always make one.
        if self.replication().await?.is_none() {
            let class = replication.cql();
            self.change(&format!("CREATE KEYSPACE IF NOT EXISTS {name} WITH replication = {class}")).await?;
        }
        // Another node may have made it just now, and only the server that it asked may know.
        self.session.await_schema_agreement().await?;
        self.session.use_keyspace(name, false).await?;
        if !self.has_versions().await? {
            let columns = "id int PRIMARY KEY, version int, holder blob";
            let id = table_id(name);
            self.change(&format!("CREATE TABLE IF NOT EXISTS schema_version ({columns}) WITH id = {id}")).await?;
        }
        self.set("INSERT INTO schema_version (id, version) VALUES (0, 0) IF NOT EXISTS", ()).await?;
        Ok(())
    }

    /// Waits until tables that other nodes made are known everywhere: statements on them are prepared next.
    async fn settle(&self, version: u32) -> Result<(), Failure> {
        self.session.await_schema_agreement().await?;
        self.session.refresh_metadata().await?;
        let keyspace = self.keyspace.as_str();
        match self.replication().await? {
            Some(1) => warn!(
                keyspace,
                "each row is on one node alone: what that node loses is lost, and while it is down nothing is written"
            ),
            replication => info!(keyspace, replication, version, "using the keyspace"),
        }
        if version > newest() {
            let known = newest();
            info!(keyspace, version, known, "a newer bobchat has added to the schema: this one goes on without that");
        }
        Ok(())
    }

    /// Does a step, unless another node is at it or has done it.
    async fn take(&self, step: &Step, stand: Stand) -> Result<bool, Failure> {
        let oldest = stand.oldest.max(step.oldest);
        let version = i32::try_from(step.version).unwrap_or(i32::MAX);
        let before = version.saturating_sub(1);
        let me = getrandom::u64().map_err(|error| Failure(error.to_string()))?.to_be_bytes();
        let claim = "UPDATE schema_version USING TTL ? SET holder = ? WHERE id = 0 IF version = ? AND holder = null";
        if !self.set(claim, (LEASE_SECONDS, me, before)).await? {
            return Ok(false);
        }
        info!(keyspace = self.keyspace.as_str(), version, what = step.what, "changing the schema");
        self.ask_of_programs(oldest).await?;
        for cql in step.cql {
            self.change(cql).await?;
        }
        let done = "UPDATE schema_version SET version = ?, holder = null WHERE id = 0 IF version = ? AND holder = ?";
        self.set(done, (version, before, me)).await
    }

    /// Says which version a program must know from now on. What was asked before stands where it is more.
    async fn ask_of_programs(&self, oldest: u32) -> Result<(), Failure> {
        let oldest = i32::try_from(oldest).unwrap_or(i32::MAX);
        let begin = "INSERT INTO schema_version (id, version) VALUES (?, ?) IF NOT EXISTS";
        if !self.set(begin, (OLDEST, oldest)).await? {
            let raise = "UPDATE schema_version SET version = ? WHERE id = ? IF version < ?";
            self.set(raise, (oldest, OLDEST, oldest)).await?;
        }
        Ok(())
    }

    /// Runs a change of the schema and waits until the nodes agree on it.
    async fn change(&self, cql: &str) -> Result<(), Failure> {
        let mut statement = Statement::new(cql);
        statement.set_is_idempotent(true);
        statement.set_request_timeout(Some(CHANGE_TIMEOUT));
        self.query(statement, ()).await?;
        Ok(())
    }

    /// Runs a compare-and-set; returns whether it was done.
    async fn set(&self, cql: &str, values: impl SerializeRow + Send + Sync) -> Result<bool, Failure> {
        applied(self.query(Statement::new(qualified(self.keyspace, cql)), values).await?)
    }

    /// What all agree on. The table is there.
    async fn stand(&self) -> Result<Stand, Failure> {
        // In this order: what a step asks is said before the step counts.
        let version = self.noted(VERSION).await?.unwrap_or(0);
        let oldest = self.noted(OLDEST).await?.unwrap_or_else(|| oldest_at(version));
        Ok(Stand { version, oldest })
    }

    /// What a row says that all agree on: settles what is open.
    async fn noted(&self, row: i32) -> Result<Option<u32>, Failure> {
        let name = self.keyspace.as_str();
        let mut statement = Statement::new(format!("SELECT version FROM {name}.schema_version WHERE id = ?"));
        statement.set_consistency(Consistency::LocalSerial);
        let rows = self.query(statement, (row,)).await?.into_rows_result()?;
        let version = rows.maybe_first_row::<(Option<i32>,)>()?.and_then(|(version,)| version);
        Ok(version.and_then(|version| u32::try_from(version).ok()))
    }

    async fn has_versions(&self) -> Result<bool, Failure> {
        self.has_table("schema_version").await
    }

    /// Whether the keyspace has a table of this name.
    pub(super) async fn has_table(&self, name: &str) -> Result<bool, Failure> {
        let asked = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?";
        let rows = self.ask(asked, (self.keyspace.as_str(), name)).await?.into_rows_result()?;
        Ok(rows.rows_num() > 0)
    }

    /// How many nodes keep each row, in the datacenter that has the fewest.
    async fn replication(&self) -> Result<Option<u32>, Failure> {
        Ok(self.copies().await?.map(|copies| copies.into_values().min().unwrap_or(0)))
    }

    /// How many nodes keep each row, by datacenter; `None` where there is no keyspace.
    pub(super) async fn copies(&self) -> Result<Option<BTreeMap<String, u32>>, Failure> {
        let asked = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?";
        let rows = self.ask(asked, (self.keyspace.as_str(),)).await?;
        let rows = rows.into_rows_result()?;
        let Some((replication,)) = rows.maybe_first_row::<(HashMap<String, String>,)>()? else { return Ok(None) };
        // Beside the class, each entry is a factor; "3/1" counts the transient replica in.
        let factors = replication.into_iter().filter(|(name, _)| name != "class");
        let factors = factors.filter_map(|(name, factor)| Some((name, factor.split('/').next()?.parse().ok()?)));
        Ok(Some(factors.collect()))
    }

    async fn ask(&self, cql: &str, values: impl SerializeRow + Send + Sync) -> Result<QueryResult, Failure> {
        let mut statement = Statement::new(cql);
        statement.set_is_idempotent(true);
        // The schema is on every node, and each answers from its own copy.
        statement.set_consistency(Consistency::LocalOne);
        self.query(statement, values).await
    }

    fn query<'b>(
        &'b self,
        statement: Statement,
        values: impl SerializeRow + Send + Sync + 'b,
    ) -> BoxFuture<'b, Result<QueryResult, Failure>> {
        let values: Values<'b> = Box::new(values);
        Box::pin(async move { Ok(self.session.query_unpaged(statement, values).await?) })
    }

    fn failed(&self, cause: Failure) -> OpenError {
        OpenError::Schema { keyspace: self.keyspace.as_str().to_owned(), cause }
    }
}

/// The identifier of a keyspace's `schema_version`, in the form of a UUID: the same on every node, another in each
/// keyspace.
fn table_id(keyspace: &str) -> String {
    let hash = xxhash_rust::xxh3::xxh3_128(format!("bobchat schema_version of {keyspace}").as_bytes());
    // Version 8, "as the maker likes", of RFC 9562.
    let id = hash & !(0xf << 76) & !(0x3 << 62) | (0x8 << 76) | (0x2 << 62);
    let hex = format!("{id:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_keyspace_has_a_table_identifier_of_its_own() {
        let id = table_id("bobchat");
        assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(id.as_bytes()[14], b'8', "{id}");
        assert_eq!(id, table_id("bobchat"));
        assert_ne!(id, table_id("bobchat_2"));
    }
}
