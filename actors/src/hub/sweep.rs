//! The sweep: once a second over a thread's connections, instead of timers in each of them.

use std::time::Duration;

use bobchat_proto::error::CloseCode;

use super::{LocalHub, Outlet};
use crate::session::frame;

/// How often the sweep runs: the precision of everything it decides.
pub(super) const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// How long a connection may be silent before it is asked for a sign of life. Below the 30 s after which
/// the strictest common proxies cut idle connections.
const HEARTBEAT_SECONDS: u32 = 25;

/// How long a connection may be silent before it is closed: two heartbeats.
const SILENCE_SECONDS_MAX: u32 = 2 * HEARTBEAT_SECONDS;

/// How long a client may take to read the close frame.
const LINGER_SECONDS: u32 = 2;

impl LocalHub {
    /// Asks silent connections for a sign of life and ends those whose time is over.
    pub(super) fn sweep(&self) {
        let now = self.second();
        let mut pings = 0;
        for outlet in self.outlets() {
            match judge(&outlet, now) {
                Judgement::Leave => {}
                Judgement::Ping => {
                    outlet.push(&frame::PING);
                    pings += 1;
                }
                Judgement::Close(code) => self.end(&outlet, code, now),
                Judgement::Linger => outlet.linger_until(now + LINGER_SECONDS),
                Judgement::Die => outlet.die(),
            }
        }
        tracing::trace!(pings, "swept connections");
        if self.budget.is_exceeded() {
            self.cut_largest();
        }
        self.show_waiting();
    }

    fn end(&self, outlet: &Outlet, code: CloseCode, now: u32) {
        if code == CloseCode::Silent {
            self.count_silent();
        }
        outlet.close(code);
        outlet.linger_until(now + LINGER_SECONDS);
    }
}

enum Judgement {
    Leave,
    Ping,
    Close(CloseCode),
    Linger,
    Die,
}

fn judge(outlet: &Outlet, now: u32) -> Judgement {
    if !outlet.is_open() {
        return match outlet.lingers_until() {
            None => Judgement::Linger,
            Some(end) if now >= end => Judgement::Die,
            Some(_) => Judgement::Leave,
        };
    }
    let (deadline, code) = outlet.deadline();
    if now >= deadline {
        return Judgement::Close(code);
    }
    let silence = now.saturating_sub(outlet.heard());
    if silence >= SILENCE_SECONDS_MAX {
        Judgement::Close(CloseCode::Silent)
    } else if silence > 0 && silence.is_multiple_of(HEARTBEAT_SECONDS) {
        Judgement::Ping
    } else {
        Judgement::Leave
    }
}
