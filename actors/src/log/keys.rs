use std::time::Duration;

use bobchat_proto::limits::KEY_LIFETIME;

/// How far the clocks of clients and servers may be apart.
const SKEW: Duration = Duration::from_secs(2 * 60);

/// How long a live log surely remembers a key, whatever is archived; then it may rotate.
pub const KEYS_REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// How long an append may be on its way after the table was or was not asked, at most.
const ON_ITS_WAY: Duration = Duration::from_secs(60);

/// Which attempt to send something this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The client sends it for the first time, and says so; its key was made then.
    First {
        /// When, in microseconds since 1970, by the client's clock.
        made_at: i64,
    },
    /// It may have been sent before: from REST, again by a client, again by the node, or salvage.
    Repeat,
}

/// Whether the table of keys has to be asked before this attempt, decided `now` (rule 8).
///
/// A key that was made after the epoch opened can have been used under it alone, and its live log knows that as
/// long as it remembers keys. A first attempt may have lain for longer than that, in a node that stood still,
/// while its client was answered elsewhere.
#[must_use]
pub fn asks_the_table(attempt: Attempt, opened_at: Option<i64>, now: i64) -> bool {
    let (Attempt::First { made_at }, Some(opened_at)) = (attempt, opened_at) else { return true };
    let remembered_since = now.saturating_sub(micros(KEYS_REMEMBERED)).saturating_add(micros(ON_ITS_WAY));
    made_at <= opened_at.max(remembered_since).saturating_add(micros(SKEW))
}

/// What the age of a key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAge {
    /// It is honoured.
    Good,
    /// It was made so long ago that its use may be forgotten: refused.
    TooOld,
    /// It is from a time to come: it would outlive its use.
    Ahead,
}

/// Judges a key by when it was made (rule 8).
#[must_use]
pub fn judge_key(made_at: i64, now: i64) -> KeyAge {
    if made_at < now.saturating_sub(micros(KEY_LIFETIME)) {
        KeyAge::TooOld
    } else if made_at > now.saturating_add(micros(SKEW)) {
        KeyAge::Ahead
    } else {
        KeyAge::Good
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    /// Rule 8.
    #[test]
    fn only_a_first_attempt_with_a_key_of_this_epoch_need_not_ask() {
        let opened = 100 * HOUR;
        let first = |made_at| asks_the_table(Attempt::First { made_at }, Some(opened), opened + HOUR);
        assert!(!first(opened + HOUR));
        assert!(first(opened - 1));
        let at_once = |made_at| asks_the_table(Attempt::First { made_at }, Some(opened), made_at);
        assert!(at_once(opened + 60_000_000), "clocks may be two minutes apart");
        assert!(!at_once(opened + 121_000_000));
        assert!(first(opened + HOUR / 2), "the live log may have forgotten keys that old");
        assert!(asks_the_table(Attempt::Repeat, Some(0), opened));
        assert!(asks_the_table(Attempt::First { made_at: opened }, None, opened), "nobody knows when it opened");
    }

    /// Rule 8.
    #[test]
    fn a_key_is_honoured_for_a_day_and_not_before_its_time() {
        let now = 100 * HOUR;
        assert_eq!(judge_key(now - 24 * HOUR, now), KeyAge::Good);
        assert_eq!(judge_key(now - 24 * HOUR - 1, now), KeyAge::TooOld);
        assert_eq!(judge_key(now + 120_000_000, now), KeyAge::Good);
        assert_eq!(judge_key(now + 120_000_001, now), KeyAge::Ahead);
    }
}
