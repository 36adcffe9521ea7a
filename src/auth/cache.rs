use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Remembers answers of the store for a short while, and at most so many.
///
/// What is older than the lifetime is not given out; what would pass the bound pushes out what is old, or
/// else everything: reading again is cheap, growing without end is not.
pub(super) struct Cache<K, V> {
    lifetime: Duration,
    entries_max: usize,
    entries: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(super) fn new(lifetime: Duration, entries_max: usize) -> Self {
        Self { lifetime, entries_max, entries: Mutex::new(HashMap::new()) }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        let entries = self.lock();
        entries.get(key).filter(|(since, _)| since.elapsed() < self.lifetime).map(|(_, value)| value.clone())
    }

    pub(super) fn put(&self, key: K, value: V) {
        let mut entries = self.lock();
        if entries.len() >= self.entries_max {
            entries.retain(|_, (since, _)| since.elapsed() < self.lifetime);
        }
        if entries.len() >= self.entries_max {
            entries.clear();
        }
        entries.insert(key, (Instant::now(), value));
    }

    /// Forgets every entry whose key `is_stale`.
    pub(super) fn forget(&self, is_stale: impl Fn(&K) -> bool) {
        self.lock().retain(|key, _| !is_stale(key));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, (Instant, V)>> {
        // The map is whole between any two of its calls, so a panic elsewhere leaves it usable.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_end_with_their_lifetime_and_stay_within_the_bound() {
        let ended = Cache::new(Duration::ZERO, 3);
        ended.put(1, "one");
        assert_eq!(ended.get(&1), None);
        let cache = Cache::new(Duration::from_secs(3600), 3);
        for key in 0..100 {
            cache.put(key, "any");
            assert!(cache.lock().len() <= 3);
            assert_eq!(cache.get(&key), Some("any"));
        }
        cache.forget(|key| *key == 99);
        assert_eq!(cache.get(&99), None);
    }
}
