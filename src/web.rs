//! What clients reach over HTTP.

pub mod ws;
