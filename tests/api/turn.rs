use std::sync::atomic::{AtomicUsize, Ordering};

/// Says whose turn it is.
#[derive(Debug)]
pub(crate) struct Turn(AtomicUsize);

impl Turn {
    /// Begins with the one in this place.
    pub(crate) fn from(first: usize) -> Self {
        Self(AtomicUsize::new(first))
    }

    /// The next one.
    pub(crate) fn next<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[self.0.fetch_add(1, Ordering::Relaxed) % all.len()]
    }
}
