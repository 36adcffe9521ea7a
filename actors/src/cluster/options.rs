use std::time::Duration;

use crate::ports::LiveBounds;

/// What has to be true before a message is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ack {
    /// It is in the live log, and this node holds it until it is stored.
    #[default]
    Log,
    /// It is stored (rule 12).
    History,
}

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// What has to be true before a message is acknowledged. Whatever changes a room's members or settings is always
    /// stored first.
    pub ack: Ack,
    /// How much of one room may wait to be stored; beyond, sends are `busy`.
    pub bounds: LiveBounds,
    /// How much this node may have answered for that is not stored, in encoded bytes; beyond, sends are `busy`.
    pub unarchived_bytes_max: usize,
    /// How long an append may be on its way.
    pub deadline: Duration,
    /// How long a log that was opened anew takes only what nodes still hold of the old one.
    pub salvage_for: Duration,
    /// How long events may gather before they are stored together.
    pub archive_after: Duration,
    /// Rooms that are stored at the same time.
    pub archived_at_once: usize,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            ack: Ack::Log,
            // A busy room's minute without the store.
            bounds: LiveBounds { events: 20_000, bytes: 16 << 20 },
            // A minute of 2 000 messages a second, of 2 KB each.
            unarchived_bytes_max: 256 << 20,
            // Shorter than a room waits for its log, far shorter than live logs remember keys.
            deadline: Duration::from_secs(5),
            // A round of everybody's keeper, which looks every half second after a raise.
            salvage_for: Duration::from_secs(1),
            archive_after: Duration::from_millis(250),
            archived_at_once: 32,
        }
    }
}
