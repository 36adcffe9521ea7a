//! Keyspaces and stores on them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, mpsc};

use bobchat::adapters::cassandra::{CassandraOptions, CassandraStore, Keyspace, Replication};
use bobchat_actors::ports::Clock;
use bobchat_actors::ports::contract::BEGIN_MICROS;
use bobchat_actors::ports::memory::ManualClock;
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
    CassandraOptions::new(vec![shared().address().to_owned()], keyspace.clone(), Replication::Everywhere(1))
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(BEGIN_MICROS))
}

pub(crate) async fn open(options: &CassandraOptions) -> Arc<CassandraStore> {
    CassandraStore::open(options, clock()).await.unwrap()
}

/// A client that looks at the tables themselves.
pub(crate) async fn look(keyspace: &Keyspace) -> Session {
    let builder = SessionBuilder::new().known_node(shared().address()).use_keyspace(keyspace.as_str(), false);
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
