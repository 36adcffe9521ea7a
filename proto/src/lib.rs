//! Bobchat's formats: what stands on the wire and on disk, and nothing that happens to it.
//!
//! Pure: no clock, no input or output, no actors. A client can be written from this crate alone,
//! and the load harness is.
//!
//! - [`wire`]: the types of `client.proto` and `event.proto`, in protobuf (prost) and JSON (serde).
//! - [`record`]: the types of `record.proto`, what a node keeps beside events.
//! - [`backplane`]: the types of `backplane.proto`, what nodes tell each other about rooms.
//! - [`node`]: the types of `node.proto`, what nodes ask one another.
//! - [`ids`]: identifiers and positions as types; a value of the type is valid.
//! - [`codec`]: frames to bytes and back, in both formats.
//! - [`error`]: every error code and close code, one table each.
//! - [`limits`]: every limit of the protocol, with its reason.

// Reads what strangers send: a sum that does not fit has to be decided about.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod codec;
pub mod error;
pub mod ids;
mod json;
pub mod limits;

/// The client protocol and the events of a room, generated from `client.proto` and `event.proto`.
#[allow(clippy::derive_partial_eq_without_eq, clippy::large_enum_variant)]
pub mod wire {
    include!("generated/bobchat.v1.rs");

    /// Stands inside, as its protobuf package does; used as [`crate::record`].
    pub mod record {
        include!("generated/bobchat.v1.record.rs");
    }

    /// Stands inside, as its protobuf package does; used as [`crate::backplane`].
    pub mod backplane {
        include!("generated/bobchat.v1.backplane.rs");
    }

    /// Stands inside, as its protobuf package does; used as [`crate::node`].
    pub mod node {
        include!("generated/bobchat.v1.node.rs");
    }
}

/// What a node keeps on disk beside events, generated from `record.proto`.
pub use wire::record;

/// What nodes tell each other about rooms, generated from `backplane.proto`.
pub use wire::backplane;

/// What nodes ask one another, generated from `node.proto`.
pub use wire::node;
