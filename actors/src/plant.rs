//! Bugs on purpose: what shows that the checks of this repository would find them.
//!
//! A build with the feature `planted-bugs` can be told to have one of them. It is never a default: the workspace's
//! tests have it because `bobchat-simulation` asks for it, and `cargo build -p bobchat` does not. Without the feature
//! [`is`] is `false` for the compiler, so that no `if` of these is in the binary.

use std::str::FromStr;

/// A bug that a build for tests can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// The embedded store answers for messages that stand in its memory alone.
    AckBeforeWrite,
    /// The embedded store answers for messages that are written and not synced.
    AckBeforeFsync,
    /// A log does not know its idempotency keys again.
    DoubleOnRetry,
    /// A room applies what does not follow what it has.
    NoGapCheck,
    /// Who leaves a room goes on receiving it.
    DeliveryAfterLeave,
    /// Who comes back gets what was missed in the wrong order.
    ReorderOnResume,
    /// What a lost epoch held is not put back.
    LostOnEpochChange,
    /// A live log lets go of what nobody stored.
    TrimBeforeArchive,
    /// A room takes messages of people who are no members any more.
    RemovedMemberAccepted,
}

/// A name that no bug has.
#[derive(Debug, thiserror::Error)]
#[error("there is no bug {given:?} to plant: it is one of {}", Bug::ALL.map(Bug::name).join(", "))]
pub struct UnknownBug {
    given: String,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::AckBeforeWrite,
        Self::AckBeforeFsync,
        Self::DoubleOnRetry,
        Self::NoGapCheck,
        Self::DeliveryAfterLeave,
        Self::ReorderOnResume,
        Self::LostOnEpochChange,
        Self::TrimBeforeArchive,
        Self::RemovedMemberAccepted,
    ];

    /// Its name, as it is asked for.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AckBeforeWrite => "ack-before-write",
            Self::AckBeforeFsync => "ack-before-fsync",
            Self::DoubleOnRetry => "double-on-retry",
            Self::NoGapCheck => "no-gap-check",
            Self::DeliveryAfterLeave => "delivery-after-leave",
            Self::ReorderOnResume => "reorder-on-resume",
            Self::LostOnEpochChange => "lost-on-epoch-change",
            Self::TrimBeforeArchive => "trim-before-archive",
            Self::RemovedMemberAccepted => "removed-member-accepted",
        }
    }
}

impl FromStr for Bug {
    type Err = UnknownBug;

    fn from_str(name: &str) -> Result<Self, UnknownBug> {
        let found = Self::ALL.into_iter().find(|bug| bug.name() == name);
        found.ok_or_else(|| UnknownBug { given: name.to_owned() })
    }
}

#[cfg(not(feature = "planted-bugs"))]
mod never {
    use super::Bug;

    /// Whether this bug is planted: never.
    #[must_use]
    pub const fn is(_: Bug) -> bool {
        false
    }

    /// Says which bug is planted, in a build that can have one: this one cannot.
    #[must_use]
    pub const fn described() -> Option<&'static str> {
        None
    }
}

#[cfg(feature = "planted-bugs")]
mod planted {
    use std::cell::Cell;
    use std::sync::OnceLock;

    use super::Bug;

    /// The process's, for as long as it runs.
    static IN_PROCESS: OnceLock<Bug> = OnceLock::new();

    thread_local! {
        /// One thread's: simulations run beside each other.
        static IN_THREAD: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    fn now() -> Option<Bug> {
        IN_THREAD.get().or_else(|| IN_PROCESS.get().copied())
    }

    /// Whether this bug is planted.
    #[must_use]
    pub fn is(bug: Bug) -> bool {
        now() == Some(bug)
    }

    /// Says which bug is planted, in a build that can have one.
    #[must_use]
    pub fn described() -> Option<&'static str> {
        Some(now().map_or("none", Bug::name))
    }

    /// Plants a bug in all threads of the process. Only the first call counts.
    pub fn plant(bug: Bug) {
        let _ = IN_PROCESS.set(bug);
    }

    /// Plants a bug in this thread alone, or takes it out.
    pub fn plant_here(bug: Option<Bug>) {
        IN_THREAD.set(bug);
    }
}

#[cfg(not(feature = "planted-bugs"))]
pub use never::{described, is};
#[cfg(feature = "planted-bugs")]
pub use planted::{described, is, plant, plant_here};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_is_found_by_its_name_and_an_unknown_name_gets_the_list() {
        for bug in Bug::ALL {
            assert_eq!(bug.name().parse::<Bug>().unwrap(), bug);
        }
        let error = "no-such-bug".parse::<Bug>().unwrap_err().to_string();
        assert!(error.starts_with("there is no bug \"no-such-bug\" to plant"), "{error}");
        assert!(Bug::ALL.iter().all(|bug| error.contains(bug.name())), "{error}");
    }
}
