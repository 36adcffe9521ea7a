//! What the members of a fleet have in common. All live on one thread.

use std::cell::{Cell, RefCell};

use bytes::BytesMut;
use tokio::sync::Notify;

use crate::check::Checker;
use crate::dialect::{Dialect, Known, Names};
use crate::message::Messages;
use crate::time::Clock;

/// Read at once: a burst to a member is one read.
const READ_BYTES: usize = 256 * 1024;

/// What the members of a fleet have in common.
pub(crate) struct Shared {
    pub(crate) dialect: Dialect,
    pub(crate) clock: Clock,
    pub(crate) messages: Messages,
    /// What the server calls the rooms, where it names them.
    pub(crate) names: Names,
    pub(crate) checker: RefCell<Checker>,
    /// Told after each read that brought acks: a closed window has room again.
    pub(crate) acked: Notify,
    /// From here on closed connections are no fault.
    pub(crate) closing: Cell<bool>,
    /// Whether members whose connection ended come back.
    pub(crate) comes_back: Cell<bool>,
    /// From here on nobody reads slowly any more.
    pub(crate) hurry: Cell<bool>,
    /// Members that are signed in now.
    pub(crate) connections: Cell<u64>,
    /// One buffer to read into for all: an idle member holds none.
    pub(super) scratch: RefCell<Box<[u8]>>,
    /// One buffer to write from.
    pub(super) outgoing: RefCell<BytesMut>,
}

impl Shared {
    pub(super) fn new(dialect: Dialect, messages: Messages) -> anyhow::Result<Self> {
        Ok(Self {
            dialect,
            clock: Clock::start(),
            checker: RefCell::new(Checker::new(messages.clone())?),
            messages,
            names: Names::default(),
            acked: Notify::new(),
            closing: Cell::new(false),
            comes_back: Cell::new(false),
            hurry: Cell::new(false),
            connections: Cell::new(0),
            scratch: RefCell::new(vec![0; READ_BYTES].into_boxed_slice()),
            outgoing: RefCell::new(BytesMut::new()),
        })
    }

    /// What it takes to read and write the dialect.
    pub(super) const fn known(&self) -> Known<'_> {
        Known { messages: &self.messages, names: &self.names }
    }
}
