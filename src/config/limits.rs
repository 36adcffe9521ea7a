use std::time::Duration;

use bobchat_proto::limits::{FRAME_BYTES_MAX, PAGE_BYTES_MAX};

use super::read::{Reader, Section, Size};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// How much anybody may ask for. Every limit that is passed is answered with an error that says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Messages that a user may send to a room at once.
    pub sends_burst: u64,
    /// Messages a second that a user may send to a room in the long run.
    pub sends_per_second: u64,
    /// Frames that a connection may send at once.
    pub frames_burst: u64,
    /// Frames a second that a connection may send in the long run.
    pub frames_per_second: u64,
    /// Bytes a second that a connection may send.
    pub frame_bytes_per_second: u64,
    /// Pages that a user may ask for at once.
    pub pages_burst: u64,
    /// Pages a second that a user may ask for in the long run.
    pub pages_per_second: u64,
    /// Live connections of one user, per node.
    pub connections_per_user: u64,
    /// Live connections of one address that have not signed in.
    pub connections_per_address_before_auth: u64,
    /// Rooms that one user may be a member of.
    pub rooms_per_user: u64,
    /// Bytes that may wait for one client.
    pub outbound_bytes_max: u64,
    /// Bytes that may wait for all clients together.
    pub outbound_bytes_total_max: u64,
    /// Requests of one connection that are being answered at once.
    pub requests_in_flight: u64,
    /// Guests that one address may create at once.
    pub guests_burst: u64,
    /// Guests a minute that one address may create in the long run.
    pub guests_per_minute: u64,
    /// How long a room without connections stays in memory.
    pub room_idle: Duration,
}

impl Limits {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let limits = reader.section("limits", Self::read_section);
        if limits.outbound_bytes_total_max < limits.outbound_bytes_max {
            reader.contradiction(
                "limits.outbound_bytes_total_max, limits.outbound_bytes_max",
                "the limit for all clients together is below that of one",
            );
        }
        limits
    }

    fn read_section(section: &mut Section<'_>) -> Self {
        /// More than any client sends; a limit beyond it is a slip of the hand.
        const RATE_MAX: u64 = 1_000_000_000;
        // A client that is slower than one page has to get it without being cut off.
        let outbound_min = Size((PAGE_BYTES_MAX + FRAME_BYTES_MAX) as u64);
        // A frame of the largest size has to pass.
        let bytes_min = Size(FRAME_BYTES_MAX as u64);
        Self {
            sends_burst: section.within("sends_burst", 10, 1..=RATE_MAX),
            sends_per_second: section.within("sends_per_second", 5, 1..=RATE_MAX),
            frames_burst: section.within("frames_burst", 100, 1..=RATE_MAX),
            frames_per_second: section.within("frames_per_second", 50, 1..=RATE_MAX),
            frame_bytes_per_second: section
                .within("frame_bytes_per_second", Size(256 * KIB), bytes_min..=Size(64 * GIB))
                .0,
            pages_burst: section.within("pages_burst", 100, 1..=RATE_MAX),
            pages_per_second: section.within("pages_per_second", 20, 1..=RATE_MAX),
            connections_per_user: section.within("connections_per_user", 20, 1..=RATE_MAX),
            connections_per_address_before_auth: section.within(
                "connections_per_address_before_auth",
                50,
                1..=RATE_MAX,
            ),
            rooms_per_user: section.within("rooms_per_user", 10_000, 1..=RATE_MAX),
            outbound_bytes_max: section.within("outbound_bytes_max", Size(MIB), outbound_min..=Size(GIB)).0,
            outbound_bytes_total_max: section
                .within("outbound_bytes_total_max", Size(256 * MIB), outbound_min..=Size(1024 * GIB))
                .0,
            requests_in_flight: section.within("requests_in_flight", 64, 1..=10_000),
            guests_burst: section.within("guests_burst", 20, 1..=RATE_MAX),
            guests_per_minute: section.within("guests_per_minute", 20, 1..=RATE_MAX),
            room_idle: section.within(
                "room_idle",
                Duration::from_secs(5 * 60),
                Duration::from_millis(10)..=Duration::from_secs(24 * 60 * 60),
            ),
        }
    }
}
