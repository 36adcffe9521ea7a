//! The socket of a connection as the core sees it.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::task::{Context, Poll, Waker};

use bobchat_actors::hub::Wire;
use bobchat_actors::session::{Incoming, Inlet};
use bobchat_proto::error::CloseCode;
use bobchat_proto::limits::FRAME_BYTES_MAX;
use bytes::BytesMut;
use rustix::net::{SendFlags, send};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::guard::{self, Guard, Limits};
use super::strangers::Place;

/// Bytes read at once, through one buffer a thread: what fits it costs one copy, and no connection has to
/// hold a buffer of its own while it is idle.
const SCRATCH_BYTES: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// Bytes that are read ahead of what was looked at: while a token is judged, nothing is looked at, and the
/// rest stays in the socket. Holds a frame that is not complete and one more read, so it never stands in the
/// way of what is.
const READ_AHEAD_BYTES_MAX: usize = FRAME_BYTES_MAX + SCRATCH_BYTES;

/// A stream that HTTP was spoken over and that becomes the socket of a session.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + 'static {
    /// How the core sees it.
    type Wire: Wire + 'static;

    /// Makes it so.
    ///
    /// # Errors
    /// The connection is over.
    fn into_wire(self) -> io::Result<Self::Wire>;
}

impl Socket for TcpStream {
    type Wire = SocketWire;

    fn into_wire(self) -> io::Result<SocketWire> {
        // Small frames must not wait for an acknowledgement of the ones before (RFC 896).
        self.set_nodelay(true)?;
        Ok(SocketWire::new(self))
    }
}

/// A socket of the operating system.
pub struct SocketWire(TcpStream);

/// What comes over a socket goes through the [`Guard`].
pub struct SocketInlet {
    guard: Guard,
    buffer: BytesMut,
    /// Who waits for the buffer to be looked at before more is read.
    paused: Option<Waker>,
    /// The stranger's place of a connection that has not signed in.
    place: Option<Place>,
}

impl SocketWire {
    /// The socket as the core sees it.
    #[must_use]
    pub fn new(socket: TcpStream) -> Self {
        Self(socket)
    }
}

impl SocketInlet {
    /// For a connection that has not signed in. `early` is what came behind the handshake.
    #[must_use]
    pub fn new(early: BytesMut, place: Place) -> Self {
        Self { place: Some(place), ..Self::within(Limits::BEFORE_AUTH, early) }
    }

    /// For a connection of other limits than the protocol's: the echo that conformance is tested with.
    #[must_use]
    pub fn within(limits: Limits, early: BytesMut) -> Self {
        Self { guard: Guard::new(limits), buffer: early, paused: None, place: None }
    }
}

impl Wire for SocketWire {
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(into)
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_read_ready(context)
    }

    /// Past tokio, which would first look up in memory of its own whether the socket takes anything, a cache
    /// miss for each member of a room: nearly always it does, and when it does not the kernel says so. What is
    /// left over goes through [`Wire::try_write_vectored`], from which tokio learns that it has to wait.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(&self.0, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn shutdown(&self) {
        // A socket that cannot be shut down is gone already.
        let _ = SockRef::from(&self.0).shutdown(Shutdown::Write);
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_write_ready(context)
    }
}

impl Inlet for SocketInlet {
    fn poll_read(&mut self, wire: &dyn Wire, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.buffer.len() >= READ_AHEAD_BYTES_MAX {
            self.paused = Some(context.waker().clone());
            return Poll::Pending;
        }
        loop {
            match wire.poll_readable(context) {
                Poll::Pending => {
                    self.forget_empty_buffer();
                    return Poll::Pending;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {}
            }
            let read = SCRATCH.with_borrow_mut(|scratch| {
                let read = wire.try_read(scratch)?;
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
        if next.is_none() {
            self.go_on_reading();
        }
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
        self.go_on_reading();
    }
}

impl SocketInlet {
    fn go_on_reading(&mut self) {
        if let Some(reader) = self.paused.take() {
            reader.wake();
        }
    }

    fn forget_empty_buffer(&mut self) {
        if self.buffer.is_empty() && self.buffer.capacity() > 0 {
            self.buffer = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::strangers::Strangers;
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn what_nobody_looks_at_is_not_read_without_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let flood = tokio::spawn(async move {
            let mut client = TcpStream::connect(address).await.unwrap();
            // Pings without payload, to be looked at later.
            let _ = client.write_all(&[0x89, 0x80, 0, 0, 0, 0].repeat(1_000_000)).await;
        });
        let (socket, peer) = listener.accept().await.unwrap();
        let place = Strangers::new(1).admit(peer.ip()).unwrap();
        let (wire, mut inlet) = (SocketWire::new(socket), SocketInlet::new(BytesMut::new(), place));
        let patience = Duration::from_millis(500);
        while let Ok(read) = tokio::time::timeout(patience, poll_fn(|context| inlet.poll_read(&wire, context))).await {
            assert!(read.unwrap() > 0);
        }
        assert!(inlet.buffer.len() < READ_AHEAD_BYTES_MAX + SCRATCH_BYTES, "{} bytes", inlet.buffer.len());
        while inlet.next().unwrap().is_some() {}
        let more = tokio::time::timeout(patience, poll_fn(|context| inlet.poll_read(&wire, context))).await;
        assert!(more.unwrap().unwrap() > 0, "goes on where it stopped");
        flood.abort();
    }
}
