//! A WebSocket client of RFC 6455 that is no more than a load harness needs: frames are read in place
//! out of large chunks, so that one core checks hundreds of thousands of deliveries a second.

mod connect;
mod frame;
mod handshake;

pub(crate) use connect::{Way, connect};
pub(crate) use frame::{Masker, Opcode, parse, write_masked};
pub(crate) use handshake::{Refused, Request, open};
