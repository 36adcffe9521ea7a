//! Rooms, sessions and hubs together, over the reference adapters and sockets made of memory.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not covered by the exceptions for tests")]

mod cluster;
mod drain;
mod lag;
mod life;
mod live;
mod node;
mod nodes;
mod person;
mod presence;
mod time;
