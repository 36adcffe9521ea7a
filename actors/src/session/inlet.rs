use std::io;
use std::task::{Context, Poll};

use bobchat_proto::error::CloseCode;
use bytes::Bytes;

use crate::hub::Wire;

/// One whole message from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// Text, valid UTF-8.
    Text(Bytes),
    /// Bytes.
    Binary(Bytes),
    /// Asks for a sign of life, to be answered with the same payload.
    Ping(Bytes),
    /// A sign of life.
    Pong,
    /// The client closes, with this code if it gave one.
    Close(Option<u16>),
}

/// What reads a connection's messages out of what its socket brings, with everything that has to be checked before a message is believed.
///
/// Holds no buffer while the connection is idle, and never more than the limit in force.
pub trait Inlet {
    /// Reads from `wire` once; 0 at the end of the stream. [`Inlet::next`] then gives what is complete.
    ///
    /// # Errors
    /// The socket's: the connection is over.
    fn poll_read(&mut self, wire: &dyn Wire, context: &mut Context<'_>) -> Poll<io::Result<usize>>;

    /// The next complete message of what was read.
    ///
    /// # Errors
    /// The code to close with when the client broke the rules. What follows is not looked at.
    fn next(&mut self) -> Result<Option<Incoming>, CloseCode>;

    /// Lifts the limit on frames from that for strangers to that for people who are signed in.
    fn admit(&mut self);

    /// Throws away what was read and not looked at.
    fn discard(&mut self);
}
