//! The reference adapters, in memory: complete, and the shortest reading of what an adapter has to do.
//! Nothing here outlives its store: [`MemoryStore`] is what one node keeps, [`MemoryLiveLog`] and
//! [`MemoryEventStore`] are what the nodes of a cluster share, [`MemoryNodes`] is how they know of each other.

mod backplane;
mod clock;
mod credentials;
mod directory;
mod event_store;
mod history;
mod lists;
mod live_log;
mod live_room;
mod node_link;
mod pages;
mod people;
mod room;
mod room_log;
mod stored_directory;
mod stored_history;
mod worker_leases;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bobchat_proto::ids::{DeviceId, RoomId};
use bobchat_proto::record;

use super::{Clock, WorkerLease};
pub use backplane::{Carrier, MemoryBackplane, MemoryNetwork, OnItsWay, ToldLog};
pub use clock::ManualClock;
pub use event_store::MemoryEventStore;
pub use live_log::{LiveImage, MemoryLiveLog};
pub use node_link::{MemoryNodeLink, MemoryNodes};
use people::People;
use room::Room;

/// All stores over one state, so that the directory and the history are never behind the log.
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rooms: BTreeMap<RoomId, Room>,
    people: People,
    families: HashMap<DeviceId, record::RefreshFamily>,
    signing_keys: Vec<record::SigningKey>,
    worker_leases: BTreeMap<u16, WorkerLease>,
}

impl MemoryStore {
    /// Makes an empty store. `clock` gives events their time and ends idempotency keys.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, state: Mutex::default() })
    }

    /// A panic under the lock is a failed assertion of a test that shows itself anyway.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
