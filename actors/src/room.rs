//! A room: its state as the fold of its log, its decisions, and the actor that carries them out.
//!
//! - [`RoomState`]: settings and members, up to a position.
//! - [`decide()`]: who may do what; pure.
//! - [`Machine`]: collects commands into batches, takes the log's answers, says what follows; pure.
//! - `presence`: which of its people are at other nodes; pure. `elsewhere` carries it out.
//! - [`Room`]: the actor. It loads, appends and sleeps (`actor`), writes to subscribers (`delivery`) and
//!   answers whoever asks (`requests`). `portions`: what may be written at once, and to whom; pure.

mod actor;
mod decide;
mod delivery;
mod elsewhere;
mod frames;
mod machine;
mod messages;
mod portions;
mod presence;
mod requests;
mod ring;
mod state;
mod subscribers;

use bobchat_proto::wire::event::Body;

pub use actor::Room;
pub use decide::{Command, Decision, decide};
pub use frames::Frames;
pub use machine::{Answer, Effect, Machine};
pub use messages::{
    Ask, Attach, Attached, Detach, FirstPlaces, Heard, Inquire, Inquired, Inspect, Inspected, Key, NodesChanged,
    TypingHint,
};
pub use state::{RoomState, listed};
pub(crate) use subscribers::reset_frames;

/// Tells two bodies under one idempotency key apart: XXH3 (64 bits, its specification is stable) over the
/// protobuf form of the body. Stored with the key, so it must never change.
#[must_use]
pub fn body_hash(body: &Body) -> u64 {
    let mut bytes = Vec::with_capacity(body.encoded_len());
    body.encode(&mut bytes);
    xxhash_rust::xxh3::xxh3_64(&bytes)
}
