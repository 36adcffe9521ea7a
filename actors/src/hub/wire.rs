use std::io::{self, IoSlice};
use std::task::{Context, Poll};

/// The socket of a connection, which never blocks. What it carries is the [`Inlet`]'s and the outlet's matter.
///
/// [`Inlet`]: crate::session::Inlet
pub trait Wire {
    /// Reads what is there into `into`; 0 at the end of the stream.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when nothing is there; anything else ends the connection.
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize>;

    /// Wakes the task when something can be read. May be ready too early.
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Writes as much of `bytes` as fits now. What it takes and the socket does not, it [holds](Wire::held).
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when nothing fits; anything else ends the connection.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Writes as much of `slices` as fits now, in order.
    ///
    /// # Errors
    /// As [`Wire::try_write`].
    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Bytes that the wire has taken and the socket has not: what is encrypted stays in the order in which it was, so it
    /// cannot be given back. They leave with the next write, one of nothing included.
    fn held(&self) -> usize {
        0
    }

    /// Says to the peer that nothing more comes; what was written still arrives.
    fn shutdown(&self);

    /// Wakes the task when something fits again. May be ready too early.
    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;
}
