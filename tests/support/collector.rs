//! Somebody who takes the spans that a server exports.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use prost::Message;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What an OTLP exporter sends, as far as the test looks at it
/// (opentelemetry-proto, `collector/trace/v1/trace_service.proto`).
#[derive(Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<ResourceSpans>,
}

#[derive(Message)]
struct ResourceSpans {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<ScopeSpans>,
}

#[derive(Message)]
struct ScopeSpans {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

/// A span, as far as a test looks at it.
#[derive(Clone, Message)]
pub(crate) struct Span {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) trace: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) parent: Vec<u8>,
    #[prost(string, tag = "5")]
    pub(crate) name: String,
}

/// Takes what an exporter sends, on a free port. Ends with the test.
pub(crate) fn collector() -> (String, Receiver<Vec<Span>>) {
    collector_of(None, "")
}

/// The same over TLS where it has a certificate, from whoever sends a header line with `secret` in it.
pub(crate) fn collector_of(tls: Option<Arc<ServerConfig>>, secret: &'static str) -> (String, Receiver<Vec<Span>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let endpoint = format!("{scheme}://{}", listener.local_addr().unwrap());
    let (spans, received) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            match &tls {
                None => serve(stream, secret, &spans),
                Some(tls) => {
                    let session = ServerConnection::new(tls.clone()).unwrap();
                    serve(StreamOwned::new(session, stream), secret, &spans);
                }
            }
        }
    });
    (endpoint, received)
}

fn serve(mut stream: impl Read + Write, secret: &str, spans: &Sender<Vec<Span>>) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 64 * 1024];
    while let Ok(read @ 1..) = stream.read(&mut chunk) {
        bytes.extend_from_slice(&chunk[..read]);
        while let Some((body, rest)) = take_request(&bytes, secret) {
            let export = Export::decode(&body[..]).unwrap();
            let scopes = export.resources.into_iter().flat_map(|resource| resource.scopes);
            let _ = spans.send(scopes.flat_map(|scope| scope.spans).collect());
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            bytes = rest;
        }
    }
}

/// The body of the first whole request in `bytes`, and what follows it.
fn take_request(bytes: &[u8], secret: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_lowercase();
    assert!(head.starts_with("post /v1/traces "), "{head}");
    assert!(head.contains(secret), "{head}");
    let length: usize = head.split("content-length: ").nth(1)?.lines().next()?.trim().parse().ok()?;
    let body = bytes.get(head_end..head_end + length)?;
    Some((body.to_vec(), bytes[head_end + length..].to_vec()))
}

/// Whether spans of these names follow one another as children, in one trace.
pub(crate) fn has_chain(spans: &[Span], names: &[&str]) -> bool {
    let mut here: Vec<&Span> = spans.iter().filter(|span| span.name.ends_with(names[0])).collect();
    for name in &names[1..] {
        let is_next =
            |span: &&Span| span.name == *name && here.iter().any(|up| up.id == span.parent && up.trace == span.trace);
        here = spans.iter().filter(is_next).collect();
    }
    !here.is_empty()
}
