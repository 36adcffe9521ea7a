//! The reference adapters, in memory.
