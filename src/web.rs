//! What clients reach over HTTP: the public listener's routes and the operator's.
//!
//! - [`ws`]: the chat socket, which takes whole connections and is no route here.
//! - [`rest`]: the API, thin over the core's operations.
//! - [`docs`]: its description, for programs and for people.
//! - [`assets`]: the browser client.
//! - [`admin`]: the operator's listener.

pub mod address;
pub mod admin;
pub mod assets;
pub mod docs;
pub mod failure;
pub mod origin;
pub mod rest;
pub mod ws;
