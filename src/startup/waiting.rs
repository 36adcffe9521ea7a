use std::time::Instant;

use super::backoff::{Backoff, Told};
use super::error::StartError;
use crate::web::admin::{Readiness, Service};

/// Why an attempt to reach a service failed.
pub(super) enum Trouble {
    /// It may be there later.
    Passing(StartError),
    /// Only the operator can mend it.
    Lasting(StartError),
}

/// What to do while a service is not there.
#[derive(Clone, Copy)]
pub(super) enum Waiting<'a> {
    /// Try again, for as long as it takes; who asks for readiness is told.
    Patient(&'a Readiness),
    /// Give up: somebody waits at a terminal.
    Not,
}

impl Waiting<'_> {
    /// Attempts something until it is done, or only the operator can help.
    pub(super) async fn until_done<T>(
        self,
        service: Service,
        mut attempt: impl AsyncFnMut() -> Result<T, Trouble>,
    ) -> Result<T, StartError> {
        let begin = Instant::now();
        let (mut backoff, mut told) = (Backoff::default(), Told::default());
        loop {
            let error = match attempt().await {
                Ok(done) => {
                    self.note(service, false);
                    if !told.is_empty() {
                        tracing::info!(%service, waited_ms = millis(begin), "the service is there");
                    }
                    return Ok(done);
                }
                Err(Trouble::Lasting(error)) => return Err(error),
                Err(Trouble::Passing(error)) => error,
            };
            if matches!(self, Self::Not) {
                return Err(error);
            }
            self.note(service, true);
            let cause = one_line(error);
            if told.is_due(&cause, Instant::now()) {
                let (waited_ms, error) = (millis(begin), cause);
                tracing::warn!(%service, error, waited_ms, "waiting for a service, the node starts when it is there");
            }
            tokio::time::sleep(backoff.wait(chance())).await;
        }
    }

    fn note(self, service: Service, waiting: bool) {
        if let Self::Patient(readiness) = self {
            readiness.wait_for(service, waiting);
        }
    }
}

/// From 0 to 1. Without randomness all nodes wait equally long, which is a nuisance and no more.
fn chance() -> f64 {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(random) / f64::from(u32::MAX)
}

fn millis(begin: Instant) -> u64 {
    u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// An error with its causes.
fn one_line(error: StartError) -> String {
    format!("{:#}", anyhow::Error::from(error))
}
