use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::Stream;

use super::Inlet;
use crate::hub::Outlet;

/// Reads done for one connection before others get their turn.
const READS_MAX: usize = 8;

/// Something was read: the session looks at what is complete.
#[derive(Debug, Clone, Copy)]
pub(super) struct Readable;

/// Drives a connection from its session's task: writes what waits, then reads. One item per read, not per
/// frame: actix gives a stream a budget of 16 items, and a burst of small frames would use it up.
pub(super) struct Reads {
    pub(super) inlet: Rc<RefCell<dyn Inlet>>,
    pub(super) outlet: Rc<Outlet>,
    /// Whether something was read before the session started.
    pub(super) first: bool,
}

impl Stream for Reads {
    type Item = Readable;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Readable>> {
        if self.outlet.poll_flush(context).is_ready() {
            return Poll::Ready(None);
        }
        if std::mem::take(&mut self.first) {
            return Poll::Ready(Some(Readable));
        }
        for _ in 0..READS_MAX {
            let mut inlet = self.inlet.borrow_mut();
            match inlet.poll_read(self.outlet.wire(), context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_) | Ok(0)) => return Poll::Ready(None),
                Poll::Ready(Ok(_)) if self.outlet.is_open() => return Poll::Ready(Some(Readable)),
                // Closed: what still comes is read only so that the close frame is not lost to a reset.
                Poll::Ready(Ok(_)) => inlet.discard(),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
