//! A WebSocket client of RFC 6455 that is no more than a load harness needs: frames are read in place
//! out of large chunks, so that one core checks hundreds of thousands of deliveries a second.

mod frame;
mod handshake;

pub(crate) use frame::{Masker, Opcode, parse, write_masked};
pub(crate) use handshake::{Request, open};
