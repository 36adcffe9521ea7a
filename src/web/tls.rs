//! The public listener over TLS.
//!
//! `identity` reads certificate and key, `watch` reads them again when they change, `handshake` lets clients in,
//! within bounds; behind it `stream` is what HTTP is spoken over and `wire` what the core writes to.

mod handshake;
mod identity;
mod metrics;
mod stream;
mod watch;
mod wire;

pub use handshake::Handshakes;
pub use identity::{Identity, IdentityFault};
pub use metrics::TlsMetrics;
pub use stream::TlsStream;
pub use watch::{Certificates, Watch};
pub use wire::TlsWire;
