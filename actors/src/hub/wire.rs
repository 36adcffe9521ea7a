use std::io::{self, IoSlice};
use std::task::{Context, Poll};

/// The writing half of a connection: a socket that never blocks.
pub trait Wire {
    /// Writes as much of `bytes` as fits now.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when nothing fits; anything else ends the connection.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Writes as much of `slices` as fits now, in order.
    ///
    /// # Errors
    /// As [`Wire::try_write`].
    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Says to the peer that nothing more comes; what was written still arrives.
    fn shutdown(&self);

    /// Wakes the task when something fits again. May be ready too early.
    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;
}
