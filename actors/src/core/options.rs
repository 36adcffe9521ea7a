use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::bucket::{AtomicRate, Rate};

/// What an operator may set.
#[derive(Debug, Clone, PartialEq)]
pub struct CoreOptions {
    /// Messages of one user to one room.
    pub send_rate: Rate,
    /// Frames of one connection.
    pub frame_rate: Rate,
    /// Bytes of frames of one connection.
    pub frame_byte_rate: Rate,
    /// Pages of one user: of history, rooms, people, searches.
    pub page_rate: Rate,
    /// Live connections of one user.
    pub connections_per_user: usize,
    /// Rooms that one user is a member of.
    pub rooms_per_user: u64,
    /// Requests of one connection that are not answered yet.
    pub requests_in_flight: u16,
    /// Bytes that may wait for one client.
    pub outbound_bytes_max: usize,
    /// Bytes that may wait for all clients.
    pub outbound_bytes_total_max: usize,
    /// How long a room that nobody receives stays in memory.
    pub room_idle: Duration,
}

impl Default for CoreOptions {
    /// The values of config.toml, which gives the reasons.
    fn default() -> Self {
        Self {
            send_rate: Rate { per_second: 5.0, burst: 10.0 },
            frame_rate: Rate { per_second: 50.0, burst: 100.0 },
            frame_byte_rate: Rate { per_second: 262_144.0, burst: 524_288.0 },
            page_rate: Rate { per_second: 20.0, burst: 100.0 },
            connections_per_user: 20,
            rooms_per_user: 10_000,
            requests_in_flight: 64,
            outbound_bytes_max: 1 << 20,
            outbound_bytes_total_max: 256 << 20,
            room_idle: Duration::from_secs(300),
        }
    }
}

/// The options that hold now, where they are looked up: at each frame, each send, each idle room.
///
/// One atomic each, read without ordering: what a reader does for it is a plain load, as if they could not change. What
/// waits for clients is bounded by [`OutboundBudget`](crate::hub::OutboundBudget), and pages by their buckets, which
/// [`Core::set_options`](crate::Core::set_options) tells.
#[derive(Debug)]
pub struct LiveOptions {
    send_rate: AtomicRate,
    frame_rate: AtomicRate,
    frame_byte_rate: AtomicRate,
    connections_per_user: AtomicUsize,
    rooms_per_user: AtomicU64,
    requests_in_flight: AtomicU16,
    room_idle_millis: AtomicU64,
}

impl LiveOptions {
    pub(super) fn new(options: &CoreOptions) -> Self {
        Self {
            send_rate: AtomicRate::new(options.send_rate),
            frame_rate: AtomicRate::new(options.frame_rate),
            frame_byte_rate: AtomicRate::new(options.frame_byte_rate),
            connections_per_user: AtomicUsize::new(options.connections_per_user),
            rooms_per_user: AtomicU64::new(options.rooms_per_user),
            requests_in_flight: AtomicU16::new(options.requests_in_flight),
            room_idle_millis: AtomicU64::new(millis(options.room_idle)),
        }
    }

    pub(super) fn set(&self, options: &CoreOptions) {
        // Each by its name, so that one which is added cannot be forgotten here.
        let CoreOptions {
            send_rate,
            frame_rate,
            frame_byte_rate,
            connections_per_user,
            rooms_per_user,
            requests_in_flight,
            room_idle,
            page_rate: _,
            outbound_bytes_max: _,
            outbound_bytes_total_max: _,
        } = options;
        self.send_rate.set(*send_rate);
        self.frame_rate.set(*frame_rate);
        self.frame_byte_rate.set(*frame_byte_rate);
        self.connections_per_user.store(*connections_per_user, Ordering::Relaxed);
        self.rooms_per_user.store(*rooms_per_user, Ordering::Relaxed);
        self.requests_in_flight.store(*requests_in_flight, Ordering::Relaxed);
        self.room_idle_millis.store(millis(*room_idle), Ordering::Relaxed);
    }

    /// Messages of one user to one room.
    pub fn send_rate(&self) -> Rate {
        self.send_rate.get()
    }

    /// Frames of one connection.
    pub fn frame_rate(&self) -> Rate {
        self.frame_rate.get()
    }

    /// Bytes of frames of one connection.
    pub fn frame_byte_rate(&self) -> Rate {
        self.frame_byte_rate.get()
    }

    /// Live connections of one user.
    pub fn connections_per_user(&self) -> usize {
        self.connections_per_user.load(Ordering::Relaxed)
    }

    /// Rooms that one user is a member of.
    pub fn rooms_per_user(&self) -> u64 {
        self.rooms_per_user.load(Ordering::Relaxed)
    }

    /// Requests of one connection that are not answered yet.
    pub fn requests_in_flight(&self) -> u16 {
        self.requests_in_flight.load(Ordering::Relaxed)
    }

    /// How long a room that nobody receives stays in memory.
    pub fn room_idle(&self) -> Duration {
        Duration::from_millis(self.room_idle_millis.load(Ordering::Relaxed))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
