//! The writing side of one connection.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::{Buf as _, BytesMut};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::task::AbortHandle;

/// One connection of a member; the reading side is a task.
pub(super) struct Link {
    write: OwnedWriteHalf,
    /// What the socket did not take yet; a task drains it while it is not empty.
    backlog: RefCell<BytesMut>,
    reading: Cell<Option<AbortHandle>>,
}

impl Link {
    pub(super) fn new(write: OwnedWriteHalf) -> Self {
        Self { write, backlog: RefCell::default(), reading: Cell::default() }
    }

    /// The task that reads: it ends with the connection.
    pub(super) fn read_by(&self, task: AbortHandle) {
        self.reading.set(Some(task));
    }

    /// Ends the connection without a word.
    pub(super) fn cut(&self) {
        if let Some(task) = self.reading.take() {
            task.abort();
        }
    }

    /// Writes what the socket takes now and leaves the rest to a task.
    pub(super) fn push(self: &Rc<Self>, bytes: &[u8]) {
        let mut backlog = self.backlog.borrow_mut();
        if !backlog.is_empty() {
            backlog.extend_from_slice(bytes);
            return;
        }
        // A connection that broke shows at the reading side.
        let written = self.write.try_write(bytes).unwrap_or(0);
        if let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            backlog.extend_from_slice(rest);
            tokio::task::spawn_local(Rc::clone(self).drain_backlog());
        }
    }

    async fn drain_backlog(self: Rc<Self>) {
        while self.write.writable().await.is_ok() {
            let mut backlog = self.backlog.borrow_mut();
            match self.write.try_write(&backlog) {
                Ok(written) => backlog.advance(written),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
            if backlog.is_empty() {
                return;
            }
        }
    }
}
