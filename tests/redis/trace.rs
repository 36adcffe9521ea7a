//! The trace of a message goes on at the nodes that hear of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bobchat::adapters::clock::SystemClock;
use bobchat::adapters::redis::{BackplaneMetrics, RedisBackplane, RedisLog, RedisOptions};
use bobchat_actors::cluster::{Cluster, ClusterMetrics, ClusterOptions, ClusterPorts};
use bobchat_actors::ports::memory::MemoryEventStore;
use bobchat_actors::ports::{Append, Backplane as _, Listener, LiveLog as _, RoomLog as _, Told};
use bobchat_actors::traces::{TRACE, TraceId, Tracer, collect_with};
use bobchat_proto::ids::RoomId;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceFlags, TracerProvider as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use prometheus_client::registry::Registry;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::server::RedisServer;
use crate::support::{PATIENCE, connect, message, open, options, room, say};

/// Keeps the spans that have ended.
#[derive(Debug, Clone, Default)]
struct Spans(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Spans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

impl Spans {
    fn named(&self, name: &str) -> Option<SpanData> {
        self.0.lock().unwrap().iter().find(|span| span.name == name).cloned()
    }
}

/// Keeps every trace but those that others do not keep.
struct All;

impl Tracer for All {
    fn begins(&self) -> bool {
        true
    }

    fn trace_of(&self, span: &Span) -> Option<TraceId> {
        let context = span.context().span().span_context().clone();
        context.is_sampled().then(|| TraceId(u128::from_be_bytes(context.trace_id().to_bytes())))
    }
}

/// Keeps the span in which it is told.
#[derive(Default)]
struct Notes(Mutex<Vec<SpanContext>>);

impl Listener for Notes {
    fn told(&self, _: RoomId, told: Told) {
        if matches!(told, Told::Events(_)) {
            let present = tracing::Span::current().context().span().span_context().clone();
            self.0.lock().unwrap().push(present);
        }
    }
}

impl Notes {
    async fn next(&self) -> SpanContext {
        let told = async {
            loop {
                if let Some(context) = self.0.lock().unwrap().pop() {
                    return context;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, told).await.expect("nothing was told")
    }
}

/// Keeps the spans of this thread.
fn traced() -> (Spans, tracing::subscriber::DefaultGuard) {
    let spans = Spans::default();
    collect_with(Box::new(All));
    let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    (spans, tracing::subscriber::set_default(tracing_subscriber::registry().with(layer)))
}

#[tokio::test]
async fn the_trace_of_a_message_goes_on_at_the_other_node() {
    let server = RedisServer::start();
    let (spans, guard) = traced();
    let ada = connect(&server).await;
    let others = RedisOptions { node: 18, ..options(&server) };
    let log = RedisLog::connect(others.clone()).await.unwrap();
    let bob = RedisBackplane::start(&others, log, BackplaneMetrics::default());
    let notes = Arc::new(Notes::default());
    let listener: Arc<dyn Listener> = notes.clone();
    bob.listen(Arc::downgrade(&listener));
    open(&ada, room(7), 1, 0).await;
    bob.follow(room(7)).await.unwrap();

    let frame = tracing::debug_span!(target: TRACE, "session.frame");
    let begun = frame.context().span().span_context().clone();
    say(&ada, room(7), "traced").instrument(frame).await.unwrap();
    let heard = notes.next().await;
    assert_eq!(heard.trace_id(), begun.trace_id());
    let appended = spans.named("redis.append").unwrap();
    assert_eq!(appended.parent_span_id, begun.span_id());
    let span = spans.named("backplane.heard").unwrap();
    assert_eq!((span.parent_span_id, span.span_context.span_id()), (appended.span_context.span_id(), heard.span_id()));
    assert!(span.parent_span_is_remote);
    // The bytes in the log are the event alone: whoever reads it later is not sent a trace.
    assert_eq!(ada.tail(room(7), bobchat_proto::ids::Sequence::ZERO, 10).await.unwrap().unwrap().events.len(), 1);

    // What is not kept here is not kept there either.
    let other = SpanContext::new(1.into(), 1.into(), TraceFlags::NOT_SAMPLED, true, Default::default());
    let frame = tracing::debug_span!(target: TRACE, "session.frame");
    frame.set_parent(Context::new().with_remote_span_context(other)).unwrap();
    say(&ada, room(7), "not kept").instrument(frame).await.unwrap();
    assert!(!notes.next().await.is_valid());

    drop(guard);
    say(&ada, room(7), "not traced").await.unwrap();
    assert!(!notes.next().await.is_valid());
}

#[tokio::test]
async fn and_into_the_archiver() {
    let server = RedisServer::start();
    let (spans, _guard) = traced();
    let clock = Arc::new(SystemClock);
    let store = MemoryEventStore::new(clock.clone());
    let ports = ClusterPorts {
        live: connect(&server).await,
        store: store.clone(),
        history: store.clone(),
        directory: store.clone(),
        clock,
        node: 17,
    };
    let metrics = ClusterMetrics::register(&mut Registry::default());
    let cluster = Cluster::new(ports, ClusterOptions::default(), metrics);
    let head = cluster.open(room(7)).await.unwrap();
    let append = Append {
        room: room(7),
        epoch: head.position.epoch,
        known_seq: head.position.seq,
        state_seq: head.state_seq,
        events: vec![message(room(7), 1, None, "traced")],
    };
    let begun = tracing::debug_span!(target: TRACE, "room.append");
    let first = begun.context().span().span_context().span_id();
    cluster.append(append).instrument(begun).await.unwrap();
    let archived = async {
        while spans.named("room.archive").is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = cluster.tend() => {}
        archived = tokio::time::timeout(PATIENCE, archived) => archived.expect("nothing was archived"),
    }
    assert_eq!(spans.named("redis.append").unwrap().parent_span_id, first);
    let wait = spans.named("archive.wait").unwrap();
    assert_eq!(wait.parent_span_id, first);
    assert_eq!(spans.named("room.archive").unwrap().parent_span_id, wait.span_context.span_id());
}
