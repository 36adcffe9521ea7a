//! Keyspaces and stores on them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};

use bobchat::adapters::cassandra::{CassandraOptions, CassandraStore, Keyspace, Replication};
use bobchat_actors::ports::contract::BEGIN_MICROS;
use bobchat_actors::ports::memory::ManualClock;
use bobchat_actors::ports::{Clock, Unavailable};
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use tokio::runtime::Handle;

use crate::server::shared;

/// A name that no other test uses.
pub(crate) fn new_keyspace() -> Keyspace {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed)).parse().unwrap()
}

/// A keyspace on the node that all tests share.
pub(crate) fn options(keyspace: &Keyspace) -> CassandraOptions {
    options_of(vec![shared().address().to_owned()], keyspace, 1)
}

/// So many copies of a keyspace on nodes of a test's own. Requests are waited for as long as it takes: no test is about
/// how long.
pub(crate) fn options_of(nodes: Vec<String>, keyspace: &Keyspace, copies: u8) -> CassandraOptions {
    let options = CassandraOptions::new(nodes, keyspace.clone(), Replication::Everywhere(copies));
    CassandraOptions { request_timeout: PATIENCE, connect_timeout: PATIENCE, ..options }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(BEGIN_MICROS))
}

/// How long anything may take that ends by itself; on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long to wait before the same is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// Opens as a node's start does: what may pass is waited for.
pub(crate) async fn open(options: &CassandraOptions) -> Arc<CassandraStore> {
    let begun = Instant::now();
    loop {
        match CassandraStore::open(options, clock()).await {
            Ok(store) => return store,
            Err(error) => assert!(error.may_pass() && begun.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Does what the core does when a store does not answer: the same again.
pub(crate) async fn persist<T>(work: impl AsyncFn() -> Result<T, Unavailable>) -> T {
    let begun = Instant::now();
    loop {
        match work().await {
            Ok(done) => return done,
            Err(unavailable) => assert!(begun.elapsed() < PATIENCE, "{unavailable}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A client that looks at the tables themselves.
pub(crate) async fn look(keyspace: &Keyspace) -> Session {
    let patient = ExecutionProfile::builder().request_timeout(Some(PATIENCE)).build();
    let builder = SessionBuilder::new().known_node(shared().address()).use_keyspace(keyspace.as_str(), false);
    let builder = builder.connection_timeout(PATIENCE).default_execution_profile_handle(patient.into_handle());
    builder.build().await.unwrap()
}

/// Waits for what runs on a runtime that lives as long as the process: connections that one contract case leaves
/// open belong to it, and a case can be made where nothing may be awaited.
pub(crate) fn on_driver<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    static DRIVER: OnceLock<Handle> = OnceLock::new();
    let driver = DRIVER.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        handle
    });
    let (done, result) = mpsc::channel();
    driver.spawn(async move {
        let finished = work.await;
        // Nobody waits any more when their test has failed.
        drop(done.send(finished));
    });
    result.recv().expect("the work did not panic")
}
