//! The connection of a member: read by one task, written by whoever has something to say.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::task::AbortHandle;

use crate::ws::Stream;

/// One connection of a member; the reading side is a task.
pub(super) struct Link {
    stream: RefCell<Stream>,
    /// What the socket did not take yet.
    backlog: RefCell<BytesMut>,
    /// Whether a task drains it. One at a time: a socket wakes only who waited last to write, so that of two the earlier
    /// would sleep for ever.
    is_draining: Cell<bool>,
    reading: Cell<Option<AbortHandle>>,
}

impl Link {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream: RefCell::new(stream),
            backlog: RefCell::default(),
            is_draining: Cell::new(false),
            reading: Cell::default(),
        }
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

    /// Reads once.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, into)
    }

    /// Writes what the socket takes now and leaves the rest to a task.
    pub(super) fn push(self: &Rc<Self>, bytes: &[u8]) {
        let mut backlog = self.backlog.borrow_mut();
        if self.is_draining.get() {
            backlog.extend_from_slice(bytes);
            return;
        }
        let written = self.stream.borrow().try_write(bytes);
        if let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            backlog.extend_from_slice(rest);
            self.is_draining.set(true);
            tokio::task::spawn_local(Rc::clone(self).drain_backlog());
        }
    }

    /// A connection that broke shows at the reading side.
    async fn drain_backlog(self: Rc<Self>) {
        let _ = poll_fn(|cx| self.poll_drain(cx)).await;
        self.is_draining.set(false);
    }

    /// Ready when all is written and flushed. What is pushed while it flushes is written with the next flush.
    fn poll_drain(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.stream.borrow_mut();
        let mut backlog = self.backlog.borrow_mut();
        while !backlog.is_empty() {
            let written = ready!(Pin::new(&mut *stream).poll_write(cx, &backlog))?;
            backlog.advance(written);
        }
        Pin::new(&mut *stream).poll_flush(cx)
    }
}
