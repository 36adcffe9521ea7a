//! Bobchat, the server.

pub mod config;
pub mod secret;
pub mod telemetry;
