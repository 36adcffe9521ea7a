use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Something that a node needs to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// What orders events and carries them.
    Redis,
    /// What keeps them.
    Cassandra,
    /// Both together, which rooms need.
    Log,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redis => "Redis",
            Self::Cassandra => "Cassandra",
            Self::Log => "the log (Redis and Cassandra)",
        })
    }
}

/// Whether a balancer may send clients here.
#[derive(Debug)]
pub struct Readiness(Mutex<State>);

#[derive(Debug)]
enum State {
    /// Not yet: it waits for these.
    Starting(BTreeSet<Service>),
    /// The server serves: it is ready, also while a service that it needs is away.
    Open,
    /// It is about to end.
    Closed,
}

impl Default for Readiness {
    fn default() -> Self {
        Self(Mutex::new(State::Starting(BTreeSet::new())))
    }
}

impl Readiness {
    /// The server serves.
    pub fn open(&self) {
        *self.state() = State::Open;
    }

    /// The server is about to end.
    pub fn close(&self) {
        *self.state() = State::Closed;
    }

    /// A start has to wait for a service, or no more.
    pub fn wait_for(&self, service: Service, waiting: bool) {
        if let State::Starting(services) = &mut *self.state() {
            match waiting {
                true => services.insert(service),
                false => services.remove(&service),
            };
        }
    }

    /// Why no clients may come; `None`: they may.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        match &*self.state() {
            State::Open => None,
            State::Closed => Some("the server is ending".to_owned()),
            State::Starting(services) if services.is_empty() => Some("the server is starting".to_owned()),
            State::Starting(services) => {
                let names: Vec<_> = services.iter().map(ToString::to_string).collect();
                Some(format!("waiting for {}", names.join(", ")))
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment: a thread that panicked left it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_named_until_it_is_there() {
        let readiness = Readiness::default();
        let says = |expected: &str| assert_eq!(readiness.obstacle().as_deref(), Some(expected));
        says("the server is starting");
        readiness.wait_for(Service::Cassandra, true);
        readiness.wait_for(Service::Redis, true);
        says("waiting for Redis, Cassandra");
        readiness.wait_for(Service::Redis, false);
        says("waiting for Cassandra");
        readiness.open();
        assert_eq!(readiness.obstacle(), None);
        readiness.wait_for(Service::Redis, true);
        assert_eq!(readiness.obstacle(), None, "a later outage leaves it ready");
        readiness.close();
        says("the server is ending");
    }
}
