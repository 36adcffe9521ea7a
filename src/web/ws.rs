//! The chat socket: RFC 6455 from the first byte to the last.

pub mod frame;
pub mod guard;
