//! What the server offers to clients. Here bytes become what the core understands, and back; nothing is
//! decided.

pub mod address;
pub mod error;
pub mod ws;
