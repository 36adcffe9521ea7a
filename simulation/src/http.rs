//! As much of HTTP as asking a node takes: one request a connection.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use turmoil::net::TcpStream;

use crate::node;

/// How long an answer may take. Longer than a node takes that has to open a log.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks a node, and reads its answer.
///
/// # Errors
/// It did not answer, or not with what was asked for.
pub async fn ask<T: DeserializeOwned>(
    number: usize,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<&serde_json::Value>,
) -> anyhow::Result<T> {
    let asking = exchange(number, method, path, token, body);
    tokio::time::timeout(PATIENCE, asking).await.with_context(|| format!("node {number} does not answer"))?
}

async fn exchange<T: DeserializeOwned>(
    number: usize,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<&serde_json::Value>,
) -> anyhow::Result<T> {
    let mut stream = TcpStream::connect((node::name(number), node::PORT)).await?;
    let body = body.map(serde_json::Value::to_string).unwrap_or_default();
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    // One key for all tries of a step: what it makes is made once.
    let key = xxhash_rust::xxh3::xxh3_64(format!("{method} {path} {body}").as_bytes());
    let request = format!(
        "{method} /api/v1{path} HTTP/1.1\r\nHost: simulated\r\nConnection: close\r\n{authorization}\
         Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = std::str::from_utf8(&answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no whole answer")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if !status.starts_with('2') {
        bail!("{method} {path}: {status} {body}");
    }
    Ok(serde_json::from_str(body)?)
}
