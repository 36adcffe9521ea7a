//! What breaks servers: by a schedule that a seed makes, and with proof that each fault bit.
//!
//! - [`fault`]: what can be broken. [`schedule`]: what is broken when. [`strike`]: one fault, from its beginning until
//!   a message is acknowledged after it. [`network`]: what of it is done to the network.

pub(super) mod fault;
mod network;
pub(super) mod schedule;
mod strike;

use std::time::{Duration, Instant};

use super::cli::Order;
use super::run::Torture;
use super::site::Site;
use fault::Target;
use schedule::Planned;
use strike::Strike;

/// How often it is looked what is due, and whether a message is acknowledged again: the error of a recovery time.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How often it is told how far the run is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// How long a fault waits for clients that would notice it.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// How long a strike may take that is to end because the run does.
const END_MAX: Duration = Duration::from_secs(120);

/// Breaks servers under clients.
pub(super) struct Nemesis<'a> {
    pub(super) site: &'a mut Site,
    pub(super) torture: &'a Torture,
    pub(super) order: &'a Order,
    pub(super) began: Instant,
}

impl Nemesis<'_> {
    /// Does what is planned, for so long; then everything is whole again.
    ///
    /// # Errors
    /// When a server does not do what it must, such as start again.
    pub(super) fn rage(&mut self, schedule: &[Planned], lasts: Duration) -> anyhow::Result<()> {
        let mut waiting = schedule.iter().peekable();
        let mut strikes: Vec<Strike> = Vec::new();
        let mut told = Instant::now();
        let mut whole_since = Instant::now();
        while self.began.elapsed() < lasts || waiting.peek().is_some() || !strikes.is_empty() {
            anyhow::ensure!(self.began.elapsed() < lasts + END_MAX, "a fault does not come to its end");
            if let Some(next) = waiting.peek()
                && next.at <= self.began.elapsed()
                && strikes.iter().all(|strike| strike.allows(next))
                && (self.has_somebody_at(next) || self.began.elapsed() > next.at + WAIT_MAX)
            {
                let strike = Strike::begin(self, next)?;
                self.order.tell(&format!("{:7.2} s  {} begins", self.seconds(), next.told()));
                strikes.push(strike);
                waiting.next();
            }
            if strikes.iter().any(|strike| !strike.is_whole()) {
                whole_since = Instant::now();
            }
            for strike in &mut strikes {
                strike.go_on(self, whole_since)?;
            }
            for strike in strikes.extract_if(.., |strike| strike.is_over(whole_since)) {
                let deed = self.torture.done(strike.into_deed(self));
                let recovery =
                    deed.recovery_ms.map_or(String::new(), |ms| format!("; first ack {:.2} s later", ms / 1e3));
                self.order.tell(&format!("{:7.2} s  {}{recovery}; {}", self.seconds(), deed.told(), deed.proofs()));
            }
            if told.elapsed() > TELL_EVERY {
                let (acked, left) = (self.torture.progress().acked, lasts.saturating_sub(self.began.elapsed()));
                let left = left.as_secs_f64();
                self.order.tell(&format!("{:7.2} s  {acked} messages acknowledged, {left:.0} s left", self.seconds()));
                told = Instant::now();
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Whether somebody is there who would notice: clients may be on their way back from the fault before.
    fn has_somebody_at(&self, next: &Planned) -> bool {
        match next.target {
            Target::Node(number) => self.torture.connected_to(number) > 0,
            _ => true,
        }
    }

    fn seconds(&self) -> f64 {
        self.torture.now_ns() as f64 / 1e9
    }
}
