use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ports::SignedOutDevice;

/// Sign-outs that wait to be noted: what a large site has in some minutes. Of more than that the oldest are given up,
/// whose connections end with their tokens.
const UNNOTED_MAX: usize = 10_000;

/// Sign-outs that could not be noted for other nodes, because what keeps the notes was away.
#[derive(Debug, Default)]
pub(super) struct Unnoted(Mutex<VecDeque<SignedOutDevice>>);

impl Unnoted {
    pub(super) fn add(&self, who: SignedOutDevice) {
        let mut waiting = self.lock();
        if waiting.len() >= UNNOTED_MAX
            && let Some(given_up) = waiting.pop_front()
        {
            tracing::warn!(user.id = %given_up.user, "a sign-out is not noted for other nodes: too many wait for that");
        }
        waiting.push_back(who);
    }

    /// Takes the one that has waited longest.
    pub(super) fn next(&self) -> Option<SignedOutDevice> {
        self.lock().pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<SignedOutDevice>> {
        // Every change is one call: a thread that panicked in between left it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bobchat_proto::ids::UserId;

    use super::*;

    #[test]
    fn of_too_many_the_oldest_are_given_up() {
        let who = |user| SignedOutDevice { user: UserId::new(user).unwrap(), device: None };
        let unnoted = Unnoted::default();
        (1..=UNNOTED_MAX as u64 + 2).for_each(|user| unnoted.add(who(user)));
        assert_eq!(unnoted.next(), Some(who(3)));
        assert_eq!(std::iter::from_fn(|| unnoted.next()).count(), UNNOTED_MAX - 1);
    }
}
