//! Who somebody is: guests, tokens, signing keys, and users of other sites.
//!
//! - [`Service`] is what REST, the WebSocket and the command line use.
//! - [`keys`]: the keys that sign access tokens, made and replaced by age.
//! - [`access`]: access tokens, which prove for some minutes who asks.
//! - [`refresh`]: refresh tokens, which keep a device signed in; each is used once.
//! - [`external`]: tokens that other sites sign.
//! - [`accounts`]: users as they come to be.

// Reads what strangers send: a sum that does not fit has to be decided about.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod access;
mod accounts;
mod authenticator;
mod cache;
mod external;
pub(crate) mod fuzz;
mod keys;
mod refresh;
mod service;

#[cfg(test)]
mod tests;

pub use external::{ExternalIssuers, KeyFault};
pub use service::{Identifiers, Parts, Service};

use bobchat_actors::ports::Unavailable;
use bobchat_proto::error::ErrorCode;
use bobchat_proto::wire;

/// A clock may be this far off between machines of one deployment. Kept small: it prolongs every token.
const LEEWAY_SECONDS: i64 = 5;

/// An access token in bytes: refused before any cryptography beyond it. Tokens of ours have 500.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// Chooses the cryptography that signs and verifies. Once a process, before anything else here.
pub fn install_cryptography() {
    // Fails only when it is installed already, which is as good.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

/// One answer for every token that is no good: what exactly is wrong with it helps only a forger.
fn unauthenticated() -> wire::Error {
    ErrorCode::Unauthenticated.error("the token is not valid")
}

fn unavailable(error: &Unavailable) -> wire::Error {
    tracing::warn!(error = %error, "could not reach the store for a sign-in");
    let error = ErrorCode::Unavailable.error("the store does not answer");
    error.with_retry_after(std::time::Duration::from_secs(1))
}
