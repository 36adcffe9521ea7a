//! The store that all nodes of a cluster share, and that outlives each of them: Cassandra.
//!
//! [`CassandraStore`] stands behind [`EventStore`](bobchat_actors::ports::EventStore),
//! [`Credentials`](bobchat_actors::ports::Credentials), [`WorkerLeases`](bobchat_actors::ports::WorkerLeases) and,
//! for what is archived, [`History`](bobchat_actors::ports::History).
//!
//! - Connecting: `options` (what an operator sets) -> `session` (quorums, time limits, TLS) -> `schema` (brings the
//!   tables of `steps` up to date, one node at a time) -> `statements` (all of them prepared) -> `deployment` (whose
//!   keyspace it is).
//! - What may be said once alone goes by compare and set: `room_log`, `credentials`, `worker_leases`.
//! - What is stored: `store` (keys, messages, events last; `batches` cuts), `scan` (reads it back), `place` (which
//!   partition, and what orders writes), `buckets` (how far a scan has to go).
//! - Pages: `history` (which side of an anchor) -> `messages` (reads partitions) -> `search` (finds the place).

mod batches;
mod cas;
mod credentials;
mod deployment;
mod directory;
mod error;
mod event_store;
mod high_water;
mod history;
mod inspect;
mod messages;
mod metrics;
mod options;
mod place;
mod restored;
mod room_log;
mod scan;
mod schema;
mod search;
mod session;
mod settings;
mod statements;
mod steps;
mod store;
mod worker_leases;

use std::sync::Arc;

use bobchat_actors::ports::Clock;
use futures_util::future::BoxFuture;
use scylla::client::pager::QueryPager;
use scylla::client::session::Session;
use scylla::response::query_result::QueryResult;
use scylla::response::{PagingState, PagingStateResponse};
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;

use cas::applied;
pub use deployment::is_identity_of;
pub use error::{Failure, OpenError};
use high_water::HighWater;
pub use inspect::{CassandraFacts, NodeFacts, Owner};
pub use metrics::CassandraMetrics;
pub use options::{CassandraOptions, InvalidKeyspace, Keyspace, Login, Replication, Tls};
use schema::Schema;
pub use schema::SchemaStatus;
use statements::Statements;
pub use steps::{STEPS, Step};

/// The values of a statement. Of one type, and futures that use them on the heap: else each caller is compiled with all
/// of the driver inside, once for each shape of values.
type Values<'a> = Box<dyn SerializeRow + Send + Sync + 'a>;

/// A Cassandra cluster as the store of a cluster of nodes. Cheap to ask from anywhere; the driver's connections
/// belong to the runtime that opened it.
///
/// A write has returned when a quorum of the datacenter has it, and every read that begins afterwards sees it.
/// What is kept of a room is ordered by position and not by time, so writes can come late, twice, and in any order.
pub struct CassandraStore {
    session: Session,
    statements: Statements,
    /// The last bucket of events that is noted.
    buckets: HighWater,
    /// Up to which seq the changes are folded.
    folded: HighWater,
    clock: Arc<dyn Clock>,
    deployment: String,
    metrics: CassandraMetrics,
}

impl CassandraStore {
    /// Connects, brings the schema up to date and prepares everything. Nodes that start at once make each table
    /// once.
    ///
    /// # Errors
    /// [`OpenError`]: a line for the operator each.
    pub async fn open(options: &CassandraOptions, clock: Arc<dyn Clock>) -> Result<Arc<Self>, OpenError> {
        let session = session::connect(options).await?;
        Schema { session: &session, keyspace: &options.keyspace }.bring_up_to_date(&options.replication).await?;
        let prepared = Statements::prepare(&session, &options.keyspace).await;
        let keyspace = || options.keyspace.as_str().to_owned();
        let statements = prepared.map_err(|cause| OpenError::Schema { keyspace: keyspace(), cause })?;
        let metrics = options.metrics.clone();
        let deployment = deployment::settle(&session, &statements, options).await?;
        let (buckets, folded) = (HighWater::default(), HighWater::default());
        Ok(Arc::new(Self { session, statements, buckets, folded, clock, deployment, metrics }))
    }

    /// The identity of the deployment that the keyspace belongs to: its name and a random end, made when the keyspace
    /// was first opened. What else the deployment uses shall carry it too, so that two environments are told apart
    /// also where both have the same name.
    #[must_use]
    pub fn deployment(&self) -> &str {
        &self.deployment
    }

    /// Reads how a keyspace's schema stands, and changes nothing.
    ///
    /// # Errors
    /// [`OpenError::Connect`], [`OpenError::Certificates`] or [`OpenError::Schema`].
    pub async fn show_schema(options: &CassandraOptions) -> Result<SchemaStatus, OpenError> {
        let session = session::connect(options).await?;
        Schema { session: &session, keyspace: &options.keyspace }.show().await
    }

    /// Makes what is missing of a keyspace's schema, as [`CassandraStore::open`] does.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn apply_schema(options: &CassandraOptions) -> Result<(), OpenError> {
        let session = session::connect(options).await?;
        Schema { session: &session, keyspace: &options.keyspace }.bring_up_to_date(&options.replication).await
    }

    /// Looks at the cluster and the keyspace, and changes nothing.
    ///
    /// # Errors
    /// As [`CassandraStore::show_schema`].
    pub async fn inspect(options: &CassandraOptions) -> Result<CassandraFacts, OpenError> {
        inspect::inspect(options).await
    }

    /// Runs a statement whose answer fits one page.
    fn execute<'a>(
        &'a self,
        statement: &'a PreparedStatement,
        values: impl SerializeRow + Send + Sync + 'a,
    ) -> BoxFuture<'a, Result<QueryResult, Failure>> {
        let values: Values<'a> = Box::new(values);
        Box::pin(self.execute_row(statement, values))
    }

    async fn execute_row(&self, statement: &PreparedStatement, values: Values<'_>) -> Result<QueryResult, Failure> {
        let request = self.session.execute_unpaged(statement, values);
        Ok(self.metrics.measure(statement.get_statement(), request).await?)
    }

    /// Runs a compare-and-set; returns whether it was done.
    async fn compare_and_set(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow + Send + Sync,
    ) -> Result<bool, Failure> {
        let is_done = applied(self.execute(statement, values).await?)?;
        self.metrics.compared(statement.get_statement(), is_done);
        Ok(is_done)
    }

    /// Runs a statement whose answer is read to its end. What is measured is its first page: the others come while it
    /// is read.
    fn execute_iter<'a>(
        &'a self,
        statement: &'a PreparedStatement,
        values: impl SerializeRow + Send + Sync + 'a,
    ) -> BoxFuture<'a, Result<QueryPager, Failure>> {
        let values: Values<'a> = Box::new(values);
        Box::pin(self.iter_of_row(statement, values))
    }

    async fn iter_of_row(&self, statement: &PreparedStatement, values: Values<'_>) -> Result<QueryPager, Failure> {
        let request = self.session.execute_iter(statement.clone(), values);
        Ok(self.metrics.measure(statement.get_statement(), request).await?)
    }

    /// Runs a statement whose answer has more pages; returns one of them.
    fn page_of<'a>(
        &'a self,
        statement: &'a PreparedStatement,
        values: impl SerializeRow + Send + Sync + 'a,
        state: PagingState,
    ) -> BoxFuture<'a, Result<(QueryResult, PagingStateResponse), Failure>> {
        let values: Values<'a> = Box::new(values);
        Box::pin(self.page_of_row(statement, values, state))
    }

    async fn page_of_row(
        &self,
        statement: &PreparedStatement,
        values: Values<'_>,
        state: PagingState,
    ) -> Result<(QueryResult, PagingStateResponse), Failure> {
        let request = self.session.execute_single_page(statement, values, state);
        Ok(self.metrics.measure(statement.get_statement(), request).await?)
    }
}
