//! A proxy in front of one server.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::connection::connection;
use super::rule::{Harm, Pace, Rule, Whom};
use super::tally::{Counts, Tally};

/// Connections of one link: more wait in the kernel's queue. Above what a run's clients open at once.
const CONNECTIONS_MAX: usize = 4096;

/// After a connection could not be taken, which is the whole system's trouble.
const PAUSE: Duration = Duration::from_millis(10);

/// A link, for whoever harms it. What is changed holds from then on for the connections that there are and for new ones.
#[derive(Debug)]
pub(in super::super) struct Link {
    address: SocketAddr,
    rule: watch::Sender<Rule>,
    counts: Arc<Counts>,
}

/// The same, for who carries.
#[derive(Debug, Clone)]
pub(super) struct Line {
    listener: Arc<TcpListener>,
    pub(super) server: SocketAddr,
    pub(super) rule: watch::Receiver<Rule>,
    pub(super) counts: Arc<Counts>,
    pub(super) seed: u64,
    /// Sets its choices apart from those of other links.
    pub(super) number: u64,
}

impl Link {
    pub(super) fn make(
        listener: TcpListener,
        server: SocketAddr,
        seed: u64,
        number: u64,
    ) -> anyhow::Result<(Self, Line)> {
        let (address, counts) = (listener.local_addr()?, Arc::<Counts>::default());
        let (rule, rules) = watch::channel(Rule::default());
        let line = Line { listener: Arc::new(listener), server, rule: rules, counts: counts.clone(), seed, number };
        Ok((Self { address, rule, counts }, line))
    }

    /// Where to connect instead of to the server.
    pub(in super::super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Harms connections until [`Self::heal`].
    pub(in super::super) fn harm(&self, harm: Harm, whom: Whom) {
        self.rule.send_modify(|rule| (rule.harm, rule.whom) = (Some(harm), whom));
    }

    /// Harms none any more: what was held goes on its way.
    pub(in super::super) fn heal(&self) {
        self.rule.send_modify(|rule| (rule.harm, rule.whom) = (None, Whom::All));
    }

    /// Resets the connections that there are, both ends.
    pub(in super::super) fn reset(&self) {
        self.rule.send_modify(|rule| rule.resets += 1);
    }

    /// Makes it slow, or quick again.
    pub(in super::super) fn pace(&self, pace: Option<Pace>) {
        self.rule.send_modify(|rule| rule.pace = pace);
    }

    /// What it did so far.
    pub(in super::super) fn tally(&self) -> Tally {
        self.counts.tally()
    }
}

impl Line {
    /// Takes connections for as long as the network lasts.
    pub(super) async fn serve(self) {
        let Ok(listener) = self.listener.try_clone().and_then(tokio::net::TcpListener::from_std) else { return };
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        for number in 0_u64.. {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((client, _)) => {
                    let line = self.clone();
                    tokio::spawn(async move {
                        connection(client, line, number).await;
                        drop(place);
                    });
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}
