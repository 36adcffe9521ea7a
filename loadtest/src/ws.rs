//! A WebSocket client of RFC 6455 that is no more than a load harness needs: frames are read in place
//! out of large chunks, so that one core checks hundreds of thousands of deliveries a second.
//!
//! - [`open`]: the handshake, over a [`Stream`] in the clear or over TLS ([`Trust`]).
//! - [`Reader`]: what the server sends, message by message. [`Violation`]: what it must not send.
//! - [`write_masked`]: what the client sends.
//!
//! How well it keeps to the standard is measured by Autobahn (docs/conformance.md), which meets it as
//! `examples/websocket_echo_client.rs`.

mod connect;
mod frame;
mod handshake;
mod message;
mod stream;
mod trust;

pub use connect::Way;
pub(crate) use connect::connect;
pub use frame::{Masker, Opcode, Violation, write_masked};
pub(crate) use handshake::Refused;
pub use handshake::{Request, open};
pub use message::{Incoming, Reader};
pub use stream::Stream;
pub use trust::Trust;

/// Stands for the code of a close frame that gives none (RFC 6455 section 7.1.5); never on the wire.
pub const NO_CODE: u16 = 1005;
