//! Tells Prometheus, over as much of HTTP/1.1 as a scrape is.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::metrics::CanaryMetrics;

/// A request that takes longer is of nobody who scrapes.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Nor is one that is longer.
const REQUEST_BYTES_MAX: usize = 8 * 1024;

/// Takes the address.
///
/// # Errors
/// When somebody else has it.
pub(super) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("--listen {address}: could not listen there"))
}

/// Answers one after the other, for as long as it is polled.
pub(super) async fn serve(listener: TcpListener, metrics: Rc<CanaryMetrics>) {
    loop {
        // Nothing but files can have run out; the canary goes on without being told of.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(REQUEST_TIMEOUT).await;
            continue;
        };
        // Whoever does not ask or does not read is left.
        let _ = timeout(REQUEST_TIMEOUT, answer(stream, &metrics)).await;
    }
}

async fn answer(mut stream: TcpStream, metrics: &CanaryMetrics) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        if request.len() > REQUEST_BYTES_MAX || stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let (status, body) = match request.starts_with(b"GET /metrics ") {
        true => ("200 OK", metrics.text()),
        false => ("404 Not Found", "the metrics are at /metrics\n".to_owned()),
    };
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
    stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes()).await?;
    stream.shutdown().await
}
