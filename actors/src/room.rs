//! A room: its state as the fold of its log, its decisions, and the actor that carries them out.

use bobchat_proto::wire::event::Body;

/// Tells two bodies under one idempotency key apart: XXH3 (64 bits, its specification is stable) over the
/// protobuf form of the body. Stored with the key, so it must never change.
#[must_use]
pub fn body_hash(body: &Body) -> u64 {
    let mut bytes = Vec::with_capacity(body.encoded_len());
    body.encode(&mut bytes);
    xxhash_rust::xxh3::xxh3_64(&bytes)
}
