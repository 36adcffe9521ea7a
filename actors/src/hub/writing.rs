use tokio::time::Instant;
use tracing::Span;

use crate::metrics::TracedHistogram;
use crate::traces;

/// What is told of one batch's way to the subscribers of one thread: how long it took since the room began to fan it
/// out, and in which trace.
#[derive(Debug, Clone)]
pub struct Writing {
    begun_at: Instant,
    fan_out: Span,
    /// This thread's part, from the first subscriber to the last.
    here: Span,
}

impl Writing {
    /// Begins now, within the room's span. Each thread gets a clone.
    #[must_use]
    pub fn begin(fan_out: &Span) -> Self {
        Self { begun_at: Instant::now(), fan_out: fan_out.clone(), here: Span::none() }
    }

    /// For what nobody's request led to.
    #[must_use]
    pub fn untraced() -> Self {
        Self::begin(&Span::none())
    }

    /// The thread begins with its subscribers, or goes on.
    pub(super) fn enter(&mut self) {
        if self.here.is_disabled() {
            self.here = traces::below(
                [&self.fan_out],
                |parent| tracing::debug_span!(target: traces::TRACE, parent: parent, "hub.write"),
            );
        }
    }

    /// All of the thread's subscribers were written to.
    pub(super) fn end(&self, seconds: &TracedHistogram) {
        seconds.observe(self.begun_at.elapsed().as_secs_f64(), &self.here);
    }
}
