//! What the configuration means to the core and to adapters.

use bobchat_actors::CoreOptions;
use bobchat_actors::bucket::Rate;

use crate::adapters::embedded::EmbeddedOptions;
use crate::config::{Limits, Store};

pub(super) fn embedded(store: &Store) -> EmbeddedOptions {
    EmbeddedOptions {
        cache_bytes: usize::try_from(store.cache_bytes).unwrap_or(usize::MAX),
        reserve_bytes: store.reserve_bytes,
        ..EmbeddedOptions::default()
    }
}

pub(super) fn core(limits: &Limits) -> CoreOptions {
    let rate = |per_second: u64, burst: u64| Rate { per_second: per_second as f32, burst: burst as f32 };
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let bytes = limits.frame_bytes_per_second;
    CoreOptions {
        send_rate: rate(limits.sends_per_second, limits.sends_burst),
        frame_rate: rate(limits.frames_per_second, limits.frames_burst),
        // Two seconds' worth at once, so that a page full of drafts is no flood.
        frame_byte_rate: rate(bytes, bytes.saturating_mul(2)),
        connections_per_user: size(limits.connections_per_user),
        rooms_per_user: limits.rooms_per_user,
        requests_in_flight: u16::try_from(limits.requests_in_flight).unwrap_or(u16::MAX),
        outbound_bytes_max: size(limits.outbound_bytes_max),
        outbound_bytes_total_max: size(limits.outbound_bytes_total_max),
        room_idle: limits.room_idle,
    }
}
