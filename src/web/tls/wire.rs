//! A socket that TLS is spoken over, as the core sees it.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::Shutdown;
use std::task::{Context, Poll};

use bobchat_actors::hub::Wire;
use rustix::net::{SendFlags, send};
use rustls::{ServerConnection, Writer};
use socket2::SockRef;
use tokio::net::TcpStream;

/// Plaintext that is encrypted before the socket is asked again: one record of the largest size (RFC 8446, section
/// 5.1). Of what a socket does not take, no more than this is held.
const RECORD_BYTES_MAX: usize = 16 * 1024;

/// A TLS session and the socket under it.
///
/// Whoever writes encrypts at once and writes what came of it to the socket at once. What the socket does not take is
/// held in `session.unsent`, of one record at most: while anything is held, nothing more is encrypted, so what waits
/// for a slow client waits as plaintext, where it is bounded and can still be dropped. An idle connection holds neither
/// plaintext nor ciphertext.
///
/// Belongs to one thread.
pub struct TlsWire {
    socket: TcpStream,
    session: RefCell<Session>,
    /// Whether decrypted bytes may be left in the session: the socket says nothing of those.
    readable: Cell<bool>,
}

/// What is encrypted and decrypted with.
struct Session {
    tls: ServerConnection,
    /// Encrypted, and not taken by the socket yet.
    unsent: Vec<u8>,
}

/// Which way bytes go to the socket.
#[derive(Clone, Copy)]
enum Way {
    /// Past tokio, as [`SocketWire`](crate::web::ws::socket::SocketWire) writes and for the same reason.
    Direct,
    /// Through tokio, which learns from it when the socket takes nothing, and wakes the task when it does again.
    Waiting,
}

impl TlsWire {
    /// A session over a socket that nothing was read from.
    #[must_use]
    pub fn new(socket: TcpStream, mut tls: ServerConnection) -> Self {
        tls.set_buffer_limit(Some(RECORD_BYTES_MAX));
        let session = RefCell::new(Session { tls, unsent: Vec::new() });
        Self { socket, session, readable: Cell::new(true) }
    }

    /// Goes on with the handshake as far as it goes now.
    ///
    /// # Errors
    /// The client's end, a broken socket, or what the client did wrong: then it has been told.
    pub(super) fn poll_handshake(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match self.poll_sent(context) {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
            let session = &mut *self.session.borrow_mut();
            if !session.tls.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            match session.receive(&self.socket) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self.socket.poll_read_ready(context) {
                    Poll::Ready(Ok(())) => {}
                    other => return other,
                },
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Ready when the socket has taken all that is held.
    pub(super) fn poll_sent(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match self.session.borrow_mut().send(&self.socket, Way::Waiting) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
            match self.socket.poll_write_ready(context) {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
        }
    }

    /// Says that no plaintext comes any more.
    pub(super) fn close(&self) {
        self.session.borrow_mut().tls.send_close_notify();
    }

    /// The socket under it.
    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }
}

impl Session {
    /// Decrypts what the socket has, once; 0 when it has ended. What TLS itself has to answer is sent.
    fn receive(&mut self, socket: &TcpStream) -> io::Result<usize> {
        let read = self.tls.read_tls(&mut Incoming(socket))?;
        let processed = self.tls.process_new_packets();
        // An alert, a new key, a ticket. What does not fit leaves with the next write.
        match self.send(socket, Way::Waiting) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
        match processed {
            Ok(_) => Ok(read),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }

    /// Encrypts a record of what `write` hands over, and sends it; returns how much plaintext that was.
    fn write(
        &mut self,
        socket: &TcpStream,
        way: Way,
        write: impl FnOnce(&mut Writer<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.send(socket, way)?;
        let taken = write(&mut self.tls.writer())?;
        match self.send(socket, way) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    /// Gives the socket what is encrypted.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when some of it is held.
    fn send(&mut self, socket: &TcpStream, way: Way) -> io::Result<()> {
        while !self.unsent.is_empty() {
            let sent = write_one(socket, way, &self.unsent)?;
            self.unsent.drain(..sent);
        }
        // An idle connection holds no buffer.
        self.unsent = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut Outgoing { socket, way, unsent: &mut self.unsent })?;
        }
        if self.unsent.is_empty() { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }
}

/// Reads from the socket for rustls.
struct Incoming<'a>(&'a TcpStream);

impl io::Read for Incoming<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(into)
    }
}

/// Takes all that rustls has encrypted: what the socket does not take is held. So rustls itself keeps nothing, and what
/// is held can be counted.
struct Outgoing<'a> {
    socket: &'a TcpStream,
    way: Way,
    unsent: &'a mut Vec<u8>,
}

impl io::Write for Outgoing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let sent = if self.unsent.is_empty() { write_all(self.socket, self.way, slices) } else { Ok(0) };
        let mut sent = match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            sent => sent?,
        };
        for slice in slices {
            let left = slice.get(sent.min(slice.len())..).unwrap_or_default();
            sent = sent.saturating_sub(slice.len());
            self.unsent.extend_from_slice(left);
        }
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_one(socket: &TcpStream, way: Way, bytes: &[u8]) -> io::Result<usize> {
    match way {
        Way::Direct => Ok(send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?),
        Way::Waiting => socket.try_write(bytes),
    }
}

/// Nearly always one record: a delivery.
fn write_all(socket: &TcpStream, way: Way, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    match slices {
        [one] => write_one(socket, way, one),
        several => socket.try_write_vectored(several),
    }
}

impl Wire for TlsWire {
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        let session = &mut *self.session.borrow_mut();
        // What the session still has when this returns, its end included, no event of the socket announces.
        self.readable.set(true);
        let mut read: usize = 0;
        // Of a connection that breaks, what came before is heard; the next read says that it broke.
        let mut broken = None;
        loop {
            let free = into.get_mut(read..).unwrap_or_default();
            if free.is_empty() {
                return Ok(read);
            }
            match session.tls.reader().read(free) {
                // The client has said that it is done, or is gone without a word: frames say by themselves whether
                // they are whole.
                Ok(0) => return Ok(read),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(read),
                Ok(more) => {
                    read = read.saturating_add(more);
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if let Some(error) = broken {
                return if read > 0 { Ok(read) } else { Err(error) };
            }
            match session.receive(&self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readable.set(false);
                    return if read > 0 { Ok(read) } else { Err(error) };
                }
                Err(error) => broken = Some(error),
            }
        }
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.readable.get() { Poll::Ready(Ok(())) } else { self.socket.poll_read_ready(context) }
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let session = &mut *self.session.borrow_mut();
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            match session.write(&self.socket, Way::Direct, |writer| writer.write(rest)) {
                Ok(more) => taken = taken.saturating_add(more),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && taken > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let session = &mut *self.session.borrow_mut();
        session.write(&self.socket, Way::Waiting, |writer| writer.write_vectored(slices))
    }

    fn held(&self) -> usize {
        self.session.borrow().unsent.len()
    }

    /// Says so to TLS first. Where the socket does not take that any more, the end of the stream says it alone.
    fn shutdown(&self) {
        self.close();
        let _ = self.session.borrow_mut().send(&self.socket, Way::Waiting);
        // A socket that cannot be shut down is gone already.
        let _ = SockRef::from(&self.socket).shutdown(Shutdown::Write);
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_write_ready(context)
    }
}

#[cfg(test)]
mod tests;
