//! Bobchat's core.

pub mod names;
pub mod operations;
pub mod ports;
pub mod room;
