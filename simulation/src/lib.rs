//! Bobchat in simulated time: the whole server, from the stream that is accepted to the log, with simulated network,
//! clock, servers and disk, and clients that hold everything they hear against what was promised. A seed says all that
//! happens, so that what fails once fails again. docs/simulation.md says what it covers.
//!
//! # The cast
//! - [`schedule`]: what clients do and what goes wrong; a seed makes one, and pieces of it can be left out.
//! - [`mod@run`]: carries a schedule out inside turmoil. [`world`]: what its parts share.
//! - [`node`]: a node on a host of its own. [`socket`]: its connections. [`distant`]: its way to the servers.
//!   [`frames`]: that to other nodes.
//! - [`person`]: a client. [`connection`], [`http`]: how it talks. Its messages are kept as the load harness keeps them.
//! - [`judge`]: the end, when all has to be at rest. The checker itself is the load harness's.
//! - [`search`]: many seeds. [`shrink`]: makes what fails short. [`random`]: what all of it is drawn from.

pub mod connection;
pub mod distant;
pub mod frames;
pub mod http;
pub mod judge;
pub mod node;
pub mod person;
pub mod random;
pub mod run;
pub mod schedule;
pub mod search;
pub mod shrink;
pub mod socket;
pub mod world;
