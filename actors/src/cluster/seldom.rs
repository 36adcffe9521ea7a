use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Between two lines of the log about the same trouble.
const PAUSE: Duration = Duration::from_secs(10);

/// Says when something is worth a line of the log that happens to all rooms at once, again and again.
#[derive(Default)]
pub(super) struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// Whether nothing was said for a while; from now on something was.
    pub(super) fn is_due(&self) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = said.is_none_or(|said| said.elapsed() >= PAUSE);
        if due {
            *said = Some(Instant::now());
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_trouble_is_told_once_and_again_after_a_while() {
        let trouble = Seldom::default();
        assert!(trouble.is_due());
        assert!(!trouble.is_due(), "it was told just now");
        tokio::time::advance(PAUSE - Duration::from_millis(1)).await;
        assert!(!trouble.is_due());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(trouble.is_due() && !trouble.is_due());
    }
}
