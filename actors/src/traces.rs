//! What is traced, decided before the first span of it is made.
//!
//! Making a span costs about as much as a delivery, whether or not anybody keeps it, and a message makes some ten. So who
//! collects traces is asked where one may begin ([`begin`]); what is not kept has no span there and none further on
//! ([`below`]), for the price of a branch. Spans that are handed on are those of kept traces alone ([`present`]).

use std::sync::OnceLock;

use tracing::Span;

/// The target of the spans that follow a message from its frame to the commit and the fan-out. They are made by
/// [`begin`] and [`below`], so only where somebody collects traces.
pub const TRACE: &str = "bobchat::trace";

/// The trace that a span belongs to, as W3C's Trace Context has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub u128);

/// Who collects the traces of this process.
pub trait Tracer: Send + Sync {
    /// Whether a trace that begins now is kept. Asked for each request, so it has to be cheap.
    fn begins(&self) -> bool;

    /// The trace that an enabled span belongs to; none where it is not kept.
    fn trace_of(&self, span: &Span) -> Option<TraceId>;
}

/// One for the process, as the subscriber of its spans is.
static TRACER: OnceLock<Box<dyn Tracer>> = OnceLock::new();

/// Sets who collects traces. Whoever does says so once; until then no trace begins.
pub fn collect_with(tracer: Box<dyn Tracer>) {
    // Set already: by the same subscriber, for there is one a process.
    let _ = TRACER.set(tracer);
}

/// Whether what begins now is traced, where no trace from elsewhere has decided it.
#[must_use]
pub fn begins() -> bool {
    TRACER.get().is_some_and(|tracer| tracer.begins())
}

/// The trace that is kept with this span in it.
pub(crate) fn trace_of(span: &Span) -> Option<TraceId> {
    // Most spans are those of nothing that is traced: they cost this much.
    if span.is_disabled() {
        return None;
    }
    TRACER.get().and_then(|tracer| tracer.trace_of(span))
}

/// The span that a trace begins with, if it is to be kept.
pub fn begin(make: impl FnOnce() -> Span) -> Span {
    if begins() { make() } else { Span::none() }
}

/// A span below the first of `parents` that is kept, of which there may be none. They are spans of this module's
/// functions; any other has to be asked for its trace first, as [`present`] does.
pub fn below<'span>(parents: impl IntoIterator<Item = &'span Span>, make: impl FnOnce(&'span Span) -> Span) -> Span {
    parents.into_iter().find(|parent| !parent.is_disabled()).map_or_else(Span::none, make)
}

/// The span that this is called in, if its trace is kept: there may be one for the log alone.
#[must_use]
pub fn present() -> Span {
    let span = Span::current();
    if trace_of(&span).is_some() { span } else { Span::none() }
}
