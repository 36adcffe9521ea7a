//! What a link does to what it carries.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Where bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Direction {
    /// From who connects to who listens.
    ToServer,
    /// Back.
    ToClient,
}

/// A way to harm connections. Those that are made meanwhile are harmed too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Harm {
    /// Bytes of one direction are taken and held.
    HoldOne(Direction),
    /// Those of both.
    HoldBoth,
    /// Each direction carries 1 to so many bytes more; then the connection is reset, in the middle of whatever it was.
    Cut(usize),
}

/// How quick a link is, each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Pace {
    /// What each piece takes at least.
    pub(in super::super) latency: Duration,
    /// What it takes more than that, at most. What came first arrives first all the same.
    pub(in super::super) jitter: Duration,
    /// What one connection carries a second; above 0.
    pub(in super::super) bytes_per_second: u32,
}

impl Pace {
    /// How long so many bytes take to be sent.
    pub(super) fn sends(self, bytes: usize) -> Duration {
        Duration::from_secs_f64(bytes as f64 / f64::from(self.bytes_per_second.max(1)))
    }
}

/// Which connections of a link are harmed.
#[derive(Debug, Clone, Default)]
pub(in super::super) enum Whom {
    /// All.
    #[default]
    All,
    /// Those that the server sees come from these ports.
    From(Arc<BTreeSet<u16>>),
}

impl Whom {
    pub(super) fn has(&self, port: u16) -> bool {
        match self {
            Self::All => true,
            Self::From(ports) => ports.contains(&port),
        }
    }
}

/// All of it. By default a link is whole.
#[derive(Debug, Clone, Default)]
pub(super) struct Rule {
    pub(super) pace: Option<Pace>,
    pub(super) harm: Option<Harm>,
    pub(super) whom: Whom,
    /// How often connections were reset: those that are there when it grows.
    pub(super) resets: u64,
}

impl Rule {
    /// How a connection is harmed that the server sees come from `port`.
    pub(super) fn harm_of(&self, port: u16) -> Option<Harm> {
        self.harm.filter(|_| self.whom.has(port))
    }
}

impl Harm {
    pub(super) fn holds(self, direction: Direction) -> bool {
        match self {
            Self::HoldOne(held) => held == direction,
            Self::HoldBoth => true,
            Self::Cut(_) => false,
        }
    }
}
