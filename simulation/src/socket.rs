//! A simulated connection, as HTTP and as the core see it.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bobchat::web::ws::socket::Socket;
use bobchat_actors::hub::Wire;
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::TcpStream;

/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;

/// How soon a connection that took nothing is tried again.
const WRITABLE_AFTER: Duration = Duration::from_millis(1);

/// A connection of the simulated network.
pub struct SimulatedStream(pub TcpStream);

impl AsyncRead for SimulatedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for SimulatedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl Socket for SimulatedStream {
    type Wire = SimulatedWire;

    fn into_wire(self) -> io::Result<SimulatedWire> {
        let (early, ended, blocked) = (RefCell::new(BytesMut::new()), Cell::new(false), Cell::new(false));
        Ok(SimulatedWire { stream: RefCell::new(self.0), early, ended, blocked })
    }
}

/// The same behind its handshake: it never blocks, and what is ready to be read waits in it.
pub struct SimulatedWire {
    stream: RefCell<TcpStream>,
    early: RefCell<BytesMut>,
    ended: Cell<bool>,
    /// The last write found no room.
    blocked: Cell<bool>,
}

impl Wire for SimulatedWire {
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut early = self.early.borrow_mut();
        if early.is_empty() && !self.ended.get() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let read = early.len().min(into.len());
        into.iter_mut().zip(early.iter()).for_each(|(to, from)| *to = *from);
        early.advance(read);
        Ok(read)
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ended.get() || !self.early.borrow().is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut bytes = [0; READ_BYTES];
        let mut buffer = ReadBuf::new(&mut bytes);
        match Pin::new(&mut *self.stream.borrow_mut()).poll_read(context, &mut buffer) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {}
        }
        self.ended.set(buffer.filled().is_empty());
        self.early.borrow_mut().extend_from_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        // Whoever waits for room asks again by `poll_writable`.
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(&mut *self.stream.borrow_mut()).poll_write(&mut context, bytes) {
            Poll::Ready(written) => written,
            Poll::Pending => {
                self.blocked.set(true);
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices.iter().find(|slice| !slice.is_empty()) {
            Some(slice) => self.try_write(slice),
            None => Ok(0),
        }
    }

    fn shutdown(&self) {
        let mut context = Context::from_waker(Waker::noop());
        // A connection that cannot be shut down is gone already.
        let _ = Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(&mut context);
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.blocked.replace(false) {
            return Poll::Ready(Ok(()));
        }
        let waker = context.waker().clone();
        actix_rt::spawn(async move {
            tokio::time::sleep(WRITABLE_AFTER).await;
            waker.wake();
        });
        Poll::Pending
    }
}
