use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_util::Stream;

use super::Inlet;
use crate::hub::Outlet;
use crate::turns::Line;

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
    /// Whether something was read that the session has not looked at; before it starts, the handshake may have.
    pub(super) unseen: bool,
    /// Where a stranger waits before the session looks at what was read.
    pub(super) line: Line,
}

impl Reads {
    /// Whoever is not signed in is looked at when it is their turn.
    fn poll_admitted(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.outlet.user().is_none() {
            return self.line.poll_turn(context);
        }
        self.line.leave();
        Poll::Ready(())
    }
}

impl Stream for Reads {
    type Item = Readable;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Readable>> {
        if self.outlet.poll_flush(context).is_ready() {
            return Poll::Ready(None);
        }
        for _ in 0..READS_MAX {
            if self.unseen {
                ready!(self.poll_admitted(context));
                self.unseen = false;
                return Poll::Ready(Some(Readable));
            }
            let read = self.inlet.borrow_mut().poll_read(self.outlet.wire(), context);
            match read {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_) | Ok(0)) => return Poll::Ready(None),
                Poll::Ready(Ok(_)) if self.outlet.is_open() => self.unseen = true,
                // Closed: what still comes is read only so that the close frame is not lost to a reset.
                Poll::Ready(Ok(_)) => self.inlet.borrow_mut().discard(),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
