//! What is measured, and what it has to be. The goal is what the design promises; beyond the limit the
//! bench fails.

use clap::ValueEnum;
use serde::Serialize;

use super::judge::Judged;

/// One figure that is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bar {
    /// Server CPU per delivery, 1 room of 1000, bursts of 1.
    #[value(name = "fanout-1")]
    Fanout1,
    /// The same with bursts of 8.
    #[value(name = "fanout-8")]
    Fanout8,
    /// The same with bursts of 32.
    #[value(name = "fanout-32")]
    Fanout32,
    /// Server CPU per delivery, 100 rooms of 10, stored and acked.
    Rooms,
    /// Server CPU per delivery, the same load, with all telemetry against without.
    Telemetry,
    /// Mean commit batch of one room with a window of 32.
    WindowBatch,
    /// Acked messages a second of one room with a window of 32.
    WindowRate,
    /// Memory of an idle connection.
    Idle,
    /// Server CPU per delivery over TLS against in the clear, 1 room of 1000, bursts of 1.
    Tls,
    /// Memory of an idle connection over TLS.
    TlsIdle,
    /// A page far back against one near the end.
    History,
    /// Start to ready.
    Start,
    /// Start to ready after SIGKILL.
    StartAfterKill,
    /// Memory of one hostile client, of the costliest kind.
    HostileMemory,
    /// Delivery p99 under 200 hostile clients against in peace.
    HostileLatency,
    /// Deliveries that one core of the harness checks a second, bursts of 8.
    Harness,
}

/// What a figure is held against.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Bounds {
    pub(crate) goal: f64,
    pub(crate) limit: f64,
    /// Whether more is better.
    pub(crate) more_is_better: bool,
}

impl Judged for Bar {
    fn name(self) -> &'static str {
        match self {
            Self::Fanout1 => "fanout_1",
            Self::Fanout8 => "fanout_8",
            Self::Fanout32 => "fanout_32",
            Self::Rooms => "rooms",
            Self::Telemetry => "telemetry",
            Self::WindowBatch => "window_batch",
            Self::WindowRate => "window_rate",
            Self::Idle => "idle",
            Self::Tls => "tls",
            Self::TlsIdle => "tls_idle",
            Self::History => "history",
            Self::Start => "start",
            Self::StartAfterKill => "start_after_kill",
            Self::HostileMemory => "hostile_memory",
            Self::HostileLatency => "hostile_latency",
            Self::Harness => "harness",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Fanout1 => "CPU per delivery, 1 room x 1000, bursts of 1",
            Self::Fanout8 => "CPU per delivery, 1 room x 1000, bursts of 8",
            Self::Fanout32 => "CPU per delivery, 1 room x 1000, bursts of 32",
            Self::Rooms => "CPU per delivery, 100 rooms x 10, stored and acked",
            Self::Telemetry => "CPU per delivery, telemetry on against off, 100 rooms x 10",
            Self::WindowBatch => "one room, window 32: mean commit batch",
            Self::WindowRate => "one room, window 32: acked/s against bare redb",
            Self::Idle => "memory per idle connection",
            Self::Tls => "CPU per delivery over TLS against plain, 1 room x 1000",
            Self::TlsIdle => "memory per idle connection over TLS",
            Self::History => "history page of 50 far back against near",
            Self::Start => "start to ready",
            Self::StartAfterKill => "start to ready after SIGKILL",
            Self::HostileMemory => "memory per hostile client, 200 at once",
            Self::HostileLatency => "delivery p99 beside 200 hostile clients",
            Self::Harness => "the harness: checked deliveries/s, bursts of 8, one core",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Fanout1 | Self::Fanout8 | Self::Fanout32 | Self::Rooms | Self::WindowRate | Self::History => "x",
            Self::HostileLatency | Self::Telemetry | Self::Tls => "x",
            Self::WindowBatch => "messages",
            Self::Idle | Self::TlsIdle | Self::HostileMemory => "KB",
            Self::Start | Self::StartAfterKill => "s",
            Self::Harness => "deliveries/s",
        }
    }

    fn bounds(self) -> Bounds {
        let (goal, limit, more_is_better) = match self {
            Self::Fanout1 => (1.15, 1.30, false),
            Self::Fanout8 => (1.15, 1.35, false),
            Self::Fanout32 => (1.20, 1.5, false),
            Self::Rooms => (1.25, 1.6, false),
            Self::Telemetry => (1.02, 1.05, false),
            Self::WindowBatch => (14.0, 8.0, true),
            Self::WindowRate => (0.7, 0.4, true),
            Self::Idle => (3.5, 5.0, false),
            Self::Tls => (1.6, 2.5, false),
            Self::TlsIdle => (20.0, 40.0, false),
            Self::History => (1.2, 2.0, false),
            Self::Start => (0.3, 2.0, false),
            Self::StartAfterKill => (1.0, 2.0, false),
            Self::HostileMemory => (2_000.0, 2_000.0, false),
            Self::HostileLatency => (1.2, 2.0, false),
            Self::Harness => (150_000.0, 100_000.0, true),
        };
        Bounds { goal, limit, more_is_better }
    }
}
