//! What HTTP is spoken over: a [`TlsWire`] as tokio's traits want it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bobchat_actors::hub::Wire as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::wire::TlsWire;
use crate::web::ws::socket::Socket;

/// Bytes read at once: one record, and what has to be zeroed before them.
const READ_BYTES_MAX: usize = 16 * 1024;

/// A connection whose handshake is done.
pub struct TlsStream(TlsWire);

impl TlsStream {
    pub(super) fn new(wire: TlsWire) -> Self {
        Self(wire)
    }
}

impl Socket for TlsStream {
    type Wire = TlsWire;

    fn into_wire(self) -> io::Result<TlsWire> {
        self.0.socket().set_nodelay(true)?;
        Ok(self.0)
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let room = into.remaining().min(READ_BYTES_MAX);
            match self.0.try_read(into.initialize_unfilled_to(room)) {
                Ok(read) => {
                    into.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(self.0.poll_readable(context))?,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.0.try_write_vectored(slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(self.0.poll_writable(context))?,
                written => return Poll::Ready(written),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_sent(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.close();
        ready!(self.0.poll_sent(context))?;
        self.0.shutdown();
        Poll::Ready(Ok(()))
    }
}
