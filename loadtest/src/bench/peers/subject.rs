//! A contestant with members in it.

use std::time::Instant;

use indicatif::ProgressBar;

use super::Comparison;
use super::cast::{Contestant, Server};
use super::row::Sample;
use crate::client::{Fleet, Shape, sign_in_guests};
use crate::load::{Schedule, Until, Window};
use crate::process::Process;

/// A contestant with members in it.
pub(super) struct Subject {
    pub(super) who: Contestant,
    // Members leave before the server ends.
    fleet: Fleet,
    server: Server,
    acks: bool,
}

impl Subject {
    /// Starts `who` and lets members enter.
    ///
    /// # Errors
    /// When they cannot.
    pub(super) async fn enter(comparison: &Comparison, who: Contestant, shape: Shape) -> anyhow::Result<Self> {
        let server = who.start(comparison)?;
        let users = match &server.bobchat {
            Some(bobchat) => sign_in_guests(&bobchat.target(), shape.rooms * shape.members)?,
            None => Vec::new(),
        };
        let fleet = Fleet::enter(&server.target, shape, &users).await?;
        let acks = server.target.dialect.acks() || matches!(who, Contestant::Floor(Some(_)));
        Ok(Self { who, fleet, server, acks })
    }

    /// CPU of a delivery, in microseconds.
    ///
    /// # Errors
    /// When the server ended.
    pub(super) async fn deliver(&self, schedule: Schedule) -> anyhow::Result<Sample> {
        let checker = &self.fleet.shared.checker;
        checker.borrow_mut().begin();
        let usage = || self.server.process.map(|process| process.usage()).transpose();
        let before = usage()?;
        schedule.run(&self.fleet).await?;
        self.fleet.settle(self.acks).await;
        let seconds = usage()?.zip(before).map(|(after, before)| after.seconds_since(&before));
        let checker = checker.borrow();
        let counts = checker.counts();
        Ok(Sample {
            figure: seconds.map(|seconds| seconds * 1e6 / counts.delivered.max(1) as f64),
            p99_ms: Some(counts.delivery_latency.value_at_quantile(0.99) as f64 / 1e3),
            deliveries_per_read: Some(counts.delivered as f64 / counts.reads.max(1) as f64),
            harness_cpu: None,
        })
    }

    /// Acked messages a second, where each member keeps `window` on the way.
    ///
    /// # Errors
    /// When the harness cannot see what it uses itself.
    pub(super) async fn ack(&self, window: u64, seconds: f64) -> anyhow::Result<Sample> {
        let checker = &self.fleet.shared.checker;
        checker.borrow_mut().begin();
        let (began, before) = (Instant::now(), Process::own().usage()?);
        Window { window, until: Until::Seconds(seconds) }.run(&self.fleet, &ProgressBar::hidden()).await;
        let seconds = began.elapsed().as_secs_f64();
        let harness_cpu = Some(Process::own().usage()?.seconds_since(&before) / seconds);
        let sample = {
            let checker = checker.borrow();
            let p99 = checker.counts().ack_latency.value_at_quantile(0.99);
            let figure = Some(checker.counts().acked as f64 / seconds);
            Sample { figure, p99_ms: Some(p99 as f64 / 1e3), deliveries_per_read: None, harness_cpu }
        };
        self.fleet.settle(true).await;
        Ok(sample)
    }

    /// Closes the members; a broken promise makes the figures worthless.
    ///
    /// # Errors
    /// When one was broken.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let violations = self.fleet.finish(self.acks);
        let name = self.who.name();
        anyhow::ensure!(violations.is_empty(), "{name} broke a promise: {:?}", violations.examples);
        Ok(())
    }
}
