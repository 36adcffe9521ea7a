//! Log lines as JSON: one flat object with dotted names, so that a query needs no knowledge of nesting.

use std::fmt::{self, Write as _};

use opentelemetry::trace::TraceContextExt as _;
use serde::Serializer as _;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Keeps a span's fields as JSON until a line needs them. A type of its own: a span's formatted fields are
/// found by the type that formatted them.
pub(super) struct Fields(JsonFields);

impl Fields {
    pub(super) fn new() -> Self {
        Self(JsonFields::new())
    }
}

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        self.0.format_fields(writer, fields)
    }

    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &tracing::span::Record<'_>,
    ) -> fmt::Result {
        let mut kept = object(&current.fields);
        fields.record(&mut Collector(&mut kept));
        current.fields = Value::Object(kept).to_string();
        Ok(())
    }
}

/// Writes each event as one line: time, level, message, the event's fields, those of the spans around it
/// (the inner ones win), and the trace it belongs to.
pub(super) struct Lines;

impl<S> FormatEvent<S, Fields> for Lines
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, Fields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Map::new();
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(kept) = span.extensions().get::<FormattedFields<Fields>>() {
                fields.extend(object(&kept.fields));
            }
        }
        event.record(&mut Collector(&mut fields));
        let trace = opentelemetry::Context::current().span().span_context().trace_id();
        if trace != opentelemetry::TraceId::INVALID {
            fields.insert("trace.id".to_owned(), trace.to_string().into());
        }
        writeln!(writer, "{}", with_head(event, fields)?)
    }
}

/// Puts first what every line has, in the order in which a person reads it.
fn with_head(event: &Event<'_>, mut fields: Map<String, Value>) -> Result<String, fmt::Error> {
    let metadata = event.metadata();
    // Lines that come from the `log` crate carry their true target as a field.
    let target = fields.remove("log.target").unwrap_or_else(|| metadata.target().into());
    let message = fields.remove("message").unwrap_or_default();
    // What tells the collector about a span says nothing in a line.
    fields.retain(|name, _| !name.starts_with("otel.") && !name.starts_with("log."));
    let head = [
        ("timestamp", format!("{:.6}", jiff::Timestamp::now()).into()),
        ("level", metadata.level().as_str().to_ascii_lowercase().into()),
        ("message", message),
        ("target", target),
    ];
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut json);
    let entries = head.iter().map(|(name, value)| (*name, value));
    let entries = entries.chain(fields.iter().map(|(name, value)| (name.as_str(), value)));
    serializer.collect_map(entries).map_err(|_| fmt::Error)?;
    String::from_utf8(json).map_err(|_| fmt::Error)
}

fn object(json: &str) -> Map<String, Value> {
    serde_json::from_str(json).unwrap_or_default()
}

/// Collects an event's fields as JSON values.
struct Collector<'a>(&'a mut Map<String, Value>);

impl Collector<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Collector<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // Only a broken Debug fails, and then what it wrote so far is as good as anything.
        let _ = write!(text, "{value:?}");
        self.put(field, text.into());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn lines(log: impl FnOnce()) -> Vec<Map<String, Value>> {
        let captured = Captured::default();
        let writer = captured.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        let layer = layer.fmt_fields(Fields::new()).event_format(Lines);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = captured.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_is_one_flat_object_with_the_fields_of_its_spans() {
        let lines = lines(|| {
            let outer = tracing::info_span!(
                "outer",
                room.id = 7,
                user.id = 1,
                otel.kind = "server",
                http.status_code = tracing::field::Empty
            );
            outer.record("http.status_code", 201);
            let _outer = outer.enter();
            let _inner = tracing::info_span!("inner", user.id = 2).entered();
            tracing::warn!(size_bytes = 3_u64, ratio = 0.5, ok = true, error = %"no\nnewline", "it happened");
        });
        let line = &lines[0];
        assert_eq!(lines.len(), 1);
        assert_eq!(line.get("otel.kind"), None, "that is for the collector");
        assert_eq!(line["level"], "warn");
        assert_eq!(line["message"], "it happened");
        assert_eq!(line["room.id"], 7);
        assert_eq!(line["user.id"], 2, "the inner span wins");
        assert_eq!(line["http.status_code"], 201, "recorded later");
        assert_eq!(line["size_bytes"], 3);
        assert_eq!(line["error"], "no\nnewline", "escaped, so still one line");
        assert!(line["target"].as_str().unwrap().starts_with("bobchat::telemetry"));
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }
}
