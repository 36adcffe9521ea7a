//! Bobchat, the server.

pub mod auth;
pub mod config;
pub mod secret;
pub mod telemetry;
