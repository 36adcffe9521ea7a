//! What the clients of a run and whoever drives it have in common.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bobchat_proto::ids::Position;

use super::check::Check;

/// What a run wants of its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Talk; those who are away in this stage go.
    Talk {
        /// The stage of the run.
        stage: u32,
    },
    /// All come, make no new messages, and get what they have acknowledged.
    Settle,
    /// Go.
    End,
}

/// Where a client is.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    /// Signed in and subscribed.
    pub(super) connected: bool,
    /// Messages that are not acknowledged.
    pub(super) pending: usize,
    /// How far its stream of each room has come.
    pub(super) cursors: HashMap<u64, Position>,
}

/// The checker, and where each client is.
#[derive(Debug)]
pub(super) struct State {
    pub(super) check: Check,
    pub(super) clients: Vec<Standing>,
}

/// One state for all.
#[derive(Debug, Clone)]
pub(super) struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub(super) fn new(clients: usize) -> Self {
        Self(Arc::new(Mutex::new(State { check: Check::default(), clients: vec![Standing::default(); clients] })))
    }

    /// The state. Never held across an await.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A client that panicked has left at worst a count behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
