//! Bobchat's core.

pub mod operations;
pub mod ports;
pub mod room;
