//! The chat socket: `/api/v1/ws`.
//!
//! It does not go through the HTTP framework: `HttpService::upgrade` hands the bare socket over once the
//! request is read (docs/decisions/raw-upgrade.md has the figures). So what middleware does elsewhere, path,
//! origin, limits and tokens, is done here, in [`handshake`].
//!
//! - [`upgrade`]: the service behind `.upgrade()`.
//! - [`handshake`]: what a request must have to become a connection; pure.
//! - [`guard`], [`frame`]: strict decoding of what the client sends.
//! - [`socket`]: the socket as the core's `Wire` and `Inlet`.
//! - [`strangers`]: how many connections of an address are not signed in.

mod frame;
pub mod guard;
pub mod handshake;
pub mod socket;
pub mod strangers;
pub mod upgrade;
