//! The socket of a connection as the core sees it.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::rc::Rc;
use std::task::{Context, Poll};

use bobchat_actors::hub::Wire;
use bobchat_actors::session::{Incoming, Inlet};
use bobchat_proto::error::CloseCode;
use bytes::BytesMut;
use socket2::SockRef;
use tokio::net::TcpStream;

use super::guard::{self, Guard, Limits};
use super::strangers::Place;

/// Bytes read at once, through one buffer a thread: what fits it costs one copy, and no connection has to
/// hold a buffer of its own while it is idle.
const SCRATCH_BYTES: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// The writing half.
pub struct SocketWire(Rc<TcpStream>);

/// The reading half: what comes goes through the [`Guard`].
pub struct SocketInlet {
    socket: Rc<TcpStream>,
    guard: Guard,
    buffer: BytesMut,
    /// The stranger's place of a connection that has not signed in.
    place: Option<Place>,
}

/// Splits a socket into what the core writes to and what it reads from. `early` is what came behind the
/// handshake.
#[must_use]
pub fn split(socket: TcpStream, early: BytesMut, place: Place) -> (SocketWire, SocketInlet) {
    let socket = Rc::new(socket);
    let guard = Guard::new(Limits::BEFORE_AUTH);
    (SocketWire(socket.clone()), SocketInlet { socket, guard, buffer: early, place: Some(place) })
}

impl Wire for SocketWire {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn shutdown(&self) {
        // A socket that cannot be shut down is gone already.
        let _ = SockRef::from(&*self.0).shutdown(Shutdown::Write);
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_write_ready(context)
    }
}

impl Inlet for SocketInlet {
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            match self.socket.poll_read_ready(context) {
                Poll::Pending => {
                    self.forget_empty_buffer();
                    return Poll::Pending;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {}
            }
            let read = SCRATCH.with_borrow_mut(|scratch| {
                let read = self.socket.try_read(scratch)?;
                self.buffer.extend_from_slice(scratch.get(..read).unwrap_or_default());
                Ok(read)
            });
            match read {
                Err(error) if io::Error::kind(&error) == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
        }
    }

    fn next(&mut self) -> Result<Option<Incoming>, CloseCode> {
        let next = self.guard.next(&mut self.buffer).map_err(|violation| {
            tracing::debug!(error = %violation, "a client broke the WebSocket protocol");
            violation.close_code()
        })?;
        Ok(next.map(|incoming| match incoming {
            guard::Incoming::Text(bytes) => Incoming::Text(bytes),
            guard::Incoming::Binary(bytes) => Incoming::Binary(bytes),
            guard::Incoming::Ping(bytes) => Incoming::Ping(bytes),
            guard::Incoming::Pong(_) => Incoming::Pong,
            guard::Incoming::Close(reason) => Incoming::Close(reason.map(|reason| reason.code)),
        }))
    }

    fn admit(&mut self) {
        self.guard.set_limits(Limits::SIGNED_IN);
        self.place = None;
    }

    fn discard(&mut self) {
        self.buffer = BytesMut::new();
    }
}

impl SocketInlet {
    fn forget_empty_buffer(&mut self) {
        if self.buffer.is_empty() && self.buffer.capacity() > 0 {
            self.buffer = BytesMut::new();
        }
    }
}
