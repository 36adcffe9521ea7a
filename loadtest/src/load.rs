//! When to send.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::client::Fleet;
use crate::time::{Clock, Nanos, Waiter, nanos};

/// An even beat: what happens when does not depend on what came back, so a server that stalls finds all that was due
/// meanwhile waiting for it, and each latency counts from its moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beat {
    /// Time between two moments.
    pub(crate) interval: Duration,
    /// How many there are.
    pub(crate) moments: u64,
}

impl Beat {
    /// So many moments a second for so long.
    pub(crate) fn new(per_second: f64, seconds: f64) -> Self {
        let interval = Duration::from_secs_f64(per_second.recip());
        Self { interval, moments: (seconds * per_second).round().max(1.0) as u64 }
    }

    /// Calls `act` at every moment, with the moment.
    ///
    /// # Errors
    /// When the kernel refuses a timer.
    pub(crate) async fn each(&self, clock: Clock, mut act: impl FnMut(Nanos)) -> anyhow::Result<()> {
        let waiter = Waiter::new(clock)?;
        let interval = nanos(self.interval);
        let start = clock.now() + interval;
        for moment in 0..self.moments {
            let intended = start + moment * interval;
            waiter.until(intended).await?;
            act(intended);
        }
        Ok(())
    }
}

/// Messages to rooms on an open-loop schedule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// Messages a second, over all rooms.
    pub(crate) rate: f64,
    /// Messages to a room in one write.
    pub(crate) burst: u64,
    /// Rooms that get a burst at the same moment.
    pub(crate) together: usize,
    /// How long.
    pub(crate) seconds: f64,
}

impl Schedule {
    fn beat(&self) -> Beat {
        Beat::new(self.rate / (self.burst as f64 * self.together as f64), self.seconds)
    }

    /// Sends all. Rooms take turns, and in each room its senders do.
    ///
    /// # Errors
    /// When the kernel refuses a timer.
    pub(crate) async fn run(&self, fleet: &Fleet) -> anyhow::Result<()> {
        let mut rooms = fleet.rooms.iter().cycle();
        let mut turn = 0;
        let act = |intended| {
            for room in rooms.by_ref().take(self.together) {
                if let Some(sender) = room.senders.get(turn / fleet.rooms.len() % room.senders.len().max(1)) {
                    sender.post(room.id, room.slot, self.burst, intended);
                }
                turn += 1;
            }
        };
        self.beat().each(fleet.shared.clock, act).await
    }
}

/// When a closed loop ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// After this long.
    Seconds(f64),
    /// After so many messages.
    Messages(u64),
}

/// A closed loop: every sender keeps `window` messages on the way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) window: u64,
    pub(crate) until: Until,
}

impl Window {
    /// Sends all.
    pub(crate) async fn run(&self, fleet: &Fleet, progress: &ProgressBar) {
        let shared = &fleet.shared;
        let start = shared.clock.now();
        let mut sent = 0;
        progress.set_length(match self.until {
            Until::Seconds(seconds) => seconds as u64,
            Until::Messages(messages) => messages,
        });
        loop {
            let elapsed = (shared.clock.now() - start) as f64 / 1e9;
            let left = match self.until {
                Until::Seconds(seconds) if elapsed >= seconds => 0,
                Until::Seconds(_) => u64::MAX,
                Until::Messages(messages) => messages - sent,
            };
            if left == 0 || shared.checker.borrow().violations().has_ended() {
                return;
            }
            sent += self.top_up(fleet, left);
            progress.set_position(match self.until {
                Until::Seconds(_) => elapsed as u64,
                Until::Messages(_) => sent,
            });
            // Bounded, so that a server that acks nothing does not keep a timed run for ever.
            let _ = tokio::time::timeout(Duration::from_millis(100), shared.acked.notified()).await;
        }
    }

    /// Fills every sender's window; gives how many messages that took.
    fn top_up(&self, fleet: &Fleet, mut left: u64) -> u64 {
        let mut sent = 0;
        for room in &fleet.rooms {
            for member in &room.senders {
                let count = self.window.saturating_sub(member.outstanding()).min(left);
                if count > 0 {
                    member.post(room.id, room.slot, count, fleet.shared.clock.now());
                    left -= count;
                    sent += count;
                }
            }
        }
        sent
    }
}

/// A bar on a terminal; nothing elsewhere.
pub(crate) fn progress_bar(what: &str) -> ProgressBar {
    let bar = ProgressBar::new(0).with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{msg:12} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar
}
