//! What stands behind the core's ports: it translates and decides nothing.

pub mod cassandra;
pub mod clock;
pub mod embedded;
pub mod redis;
