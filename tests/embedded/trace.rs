use std::sync::{Arc, Mutex};

use bobchat_actors::traces::{TRACE, TraceId, Tracer, collect_with};
use tempfile::TempDir;
use tracing::span::{Attributes, Id};
use tracing::{Instrument as _, Metadata, Span, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};

use crate::support::{append, create_room, message, open, room};

/// The names of commits' spans, each from the outermost one down.
#[derive(Clone, Default)]
struct Commits(Arc<Mutex<Vec<Vec<&'static str>>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Commits {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == TRACE
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() == "store.commit" {
            let span = context.span(id).unwrap();
            self.0.lock().unwrap().push(span.scope().from_root().map(|span| span.name()).collect());
        }
    }
}

/// Keeps every trace.
struct All;

impl Tracer for All {
    fn begins(&self) -> bool {
        true
    }

    fn trace_of(&self, span: &Span) -> Option<TraceId> {
        span.id().map(|id| TraceId(u128::from(id.into_u64())))
    }
}

#[tokio::test]
async fn a_commit_is_shown_below_the_first_traced_append_of_its_batch() {
    let commits = Commits::default();
    collect_with(Box::new(All));
    // For all threads: the commit happens on the writer's.
    tracing::subscriber::set_global_default(Registry::default().with(commits.clone())).unwrap();
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    create_room(&store, room(1)).await;
    let sending = tracing::debug_span!(target: TRACE, "send");
    append(&store, room(1), vec![message(room(1), "k", "text")]).instrument(sending).await.unwrap();
    assert!(commits.0.lock().unwrap().contains(&vec!["send", "store.commit"]));
}
