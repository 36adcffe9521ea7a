//! What the server offers to clients. Here bytes become what the core understands, and back; nothing is
//! decided.
//!
//! - [`public`]: all of what follows but the last, put together for one thread.
//! - [`ws`]: the chat socket, which takes whole connections and is no route of the application.
//! - [`tls`]: what clients speak over where the server has a certificate.
//! - [`rest`]: the API, thin over the core's operations.
//! - [`docs`]: its description, for programs and for people.
//! - [`assets`]: the browser client.
//! - [`admin`]: the operator's listener.
//! - [`error`], [`failure`]: the one shape of errors over HTTP.

// Reads what strangers send: a sum that does not fit has to be decided about.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod address;
pub mod admin;
pub mod assets;
pub mod docs;
pub mod error;
pub mod failure;
pub mod public;
pub mod rest;
pub mod tls;
pub mod ws;
