//! The server over TLS of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificates::{Authority, Files};
use crate::client::{Client, PATIENCE};
use crate::server::TestServer;

/// A server with a certificate, and clients that trust it.
struct Secured {
    server: TestServer,
    authority: Authority,
    files: Files,
    folder: TempDir,
    client: Arc<ClientConfig>,
}

impl Secured {
    fn start() -> Self {
        Self::with(&[])
    }

    fn with(settings: &[(&str, &str)]) -> Self {
        let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
        let files = authority.write(folder.path(), "server", &["127.0.0.1"]);
        let of = |path: &Path| path.to_str().unwrap().to_owned();
        let (certificate, key) = (of(&files.certificate), of(&files.key));
        let mut all = vec![("SERVER__TLS_CERTIFICATE", certificate.as_str()), ("SERVER__TLS_KEY", key.as_str())];
        all.extend([("LIMITS__SENDS_BURST", "100000"), ("LIMITS__FRAMES_BURST", "100000")]);
        all.extend([("LIMITS__FRAME_BYTES_PER_SECOND", "1GiB"), ("LIMITS__REQUESTS_IN_FLIGHT", "1000")]);
        all.extend(settings);
        let server = TestServer::with(&all);
        let client = authority.client(&["http/1.1"]);
        Self { server, authority, files, folder, client }
    }

    fn address(&self) -> SocketAddr {
        self.server.address
    }

    async fn stream(&self) -> TlsStream<TcpStream> {
        shake(self.address(), self.client.clone()).await.unwrap()
    }

    async fn connect(&self) -> Client {
        let url = format!("wss://{}/api/v1/ws", self.address());
        Client::over(Box::new(self.stream().await), &url).await.expect("the handshake was refused")
    }

    async fn signed_in(&self, token: &str, cursors: Value) -> Client {
        let mut client = self.connect().await;
        client.sign_in(token, cursors).await;
        client
    }

    async fn person(&self, name: &str) -> Client {
        let grant = self.server.guest(name).await;
        self.signed_in(&grant.access_token, json!([])).await
    }

    /// What a request is answered with, head and body.
    async fn ask(&self, request: &str) -> String {
        let mut stream = self.stream().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Without a close_notify this is an error.
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// What /metrics says of this metric.
    fn metric(&self, name: &str) -> f64 {
        let url = format!("http://{}/metrics", self.server.admin_address);
        let text = ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    async fn until(&self, name: &str, value: f64) {
        let since = Instant::now();
        while self.metric(name) != value {
            assert!(since.elapsed() < PATIENCE, "{name} is {}", self.metric(name));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(crate) async fn shake(address: SocketAddr, config: Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    TlsConnector::from(config).connect(ServerName::from(address.ip()), stream).await
}

/// The certificate that a client is shown.
fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

/// All that comes until the end; nothing where the connection is reset.
async fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the server ends it");
    bytes
}

#[tokio::test]
async fn pages_and_the_api_are_served_over_tls_and_end_with_a_close_notify() {
    let secured = Secured::start();
    let page = secured.ask("GET / HTTP/1.1\r\nHost: chat\r\nConnection: close\r\n\r\n").await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("<title>"), "{page}");
    let guest = r#"{"name":"Ada"}"#;
    let head = "POST /api/v1/guests HTTP/1.1\r\nHost: chat\r\nConnection: close\r\nContent-Type: application/json";
    let answer = secured.ask(&format!("{head}\r\nContent-Length: {}\r\n\r\n{guest}", guest.len())).await;
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n") && answer.contains("access_token"), "{answer}");
    let openapi = secured.ask("GET /api/v1/openapi.json HTTP/1.1\r\nHost: chat\r\nConnection: close\r\n\r\n").await;
    let (_, body) = openapi.split_once("\r\n\r\n").unwrap();
    assert!(body.len() > 16 * 1024 && serde_json::from_str::<Value>(body).is_ok(), "more than one record, whole");
}

#[tokio::test]
async fn people_chat_over_tls_and_resume() {
    let secured = Secured::start();
    let grant = secured.server.guest("Bob").await;
    let (mut ada, mut bob) = (secured.person("Ada").await, secured.signed_in(&grant.access_token, json!([])).await);
    let room = ada.make_room("tea").await;
    bob.join(&room).await;
    bob.subscribe(&room).await;
    for number in 0..50 {
        ada.say(&room, &format!("small {number}")).await;
    }
    assert_eq!(bob.seqs(50).await, (3..53).collect::<Vec<_>>());
    drop(bob);
    ada.say_many(&room, 0, 100, |number| format!("{number} {}", "x".repeat(number * 70))).await;
    let cursors = json!([{"room": room, "epoch": 1, "seq": 52}]);
    let mut bob = secured.signed_in(&grant.access_token, cursors).await;
    assert_eq!(bob.seqs(100).await, (53..153).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_largest_frames_and_pages_pass_and_many_small_ones_in_one_write() {
    let secured = Secured::start();
    let mut ada = secured.person("Ada").await;
    let room = ada.make_room("tea").await;
    let text = "x".repeat(7_900);
    ada.say_many(&room, 0, 200, |_| text.clone()).await;
    // 128 KiB each, as long as a page may be, which is eight records; together more than what may wait.
    for _ in 0..12 {
        let page = ada.ok("message_history", json!({"room": room, "limit": 60})).await;
        assert_eq!(page["messages"].as_array().map(Vec::len), Some(16));
    }
    let mut asked = Vec::new();
    for _ in 0..900 {
        asked.push(ada.ask("ping", json!({})).await);
    }
    for id in asked {
        assert!(ada.answer(id).await["ok"]["ping"].is_object());
    }
}

#[tokio::test]
async fn who_never_reads_over_tls_is_closed_as_a_slow_consumer_and_can_resume() {
    let secured = Secured::start();
    let mut ada = secured.person("Ada").await;
    let room = ada.make_room("tea").await;
    let grant = secured.server.guest("Bob").await;
    let mut bob = secured.signed_in(&grant.access_token, json!([])).await;
    bob.join(&room).await;
    bob.subscribe(&room).await;
    let text = "x".repeat(7_900);
    let count = 1_500;
    ada.say_many(&room, 0, count, |_| text.clone()).await;
    let since = Instant::now();
    while secured.server.count(|metrics| metrics.slow_consumers.get()) == 0 {
        assert!(since.elapsed() < PATIENCE);
        ada.ok("ping", json!({})).await;
    }
    // Whoever reads again within seconds is told why; a test that waited for its turn may come too late.
    assert!(matches!(bob.closed().await, Some(4008) | None));
    let cursors = json!([{"room": room, "epoch": 1, "seq": 2}]);
    let mut bob = secured.signed_in(&grant.access_token, cursors).await;
    assert_eq!(bob.seqs(count).await, (3..3 + count as u64).collect::<Vec<_>>());
    secured.until("bobchat_outbound_bytes", 0.0).await;
}

#[tokio::test]
async fn half_a_handshake_is_not_waited_for_and_takes_a_strangers_place() {
    let secured = Secured::with(&[("LIMITS__CONNECTIONS_PER_ADDRESS_BEFORE_AUTH", "2")]);
    let since = Instant::now();
    let mut halves = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(secured.address()).await.unwrap();
        // The head of a record of 512 bytes, and not the bytes.
        stream.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
        halves.push(stream);
    }
    // Two have the places of their address, whichever: for the third there is none.
    secured.until(r#"bobchat_tls_handshakes_total{outcome="crowded"}"#, 1.0).await;
    for half in halves {
        assert_eq!(rest(half).await, b"", "nobody is told anything");
    }
    let waited = since.elapsed();
    assert!(waited > Duration::from_secs(4) && waited < Duration::from_secs(30), "{waited:?}");
    secured.until(r#"bobchat_tls_handshakes_total{outcome="late"}"#, 2.0).await;
    shake(secured.address(), secured.client.clone()).await.expect("their places are free again");
}

#[tokio::test]
async fn behind_a_trusted_proxy_handshakes_are_not_counted_by_address() {
    let secured = Secured::with(&[
        ("LIMITS__CONNECTIONS_PER_ADDRESS_BEFORE_AUTH", "1"),
        ("SERVER__TRUSTED_PROXIES", "127.0.0.1"),
    ]);
    let mut halves = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(secured.address()).await.unwrap();
        stream.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
        halves.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let request = |client: &str| {
        format!("GET /api/v1/me HTTP/1.1\r\nHost: chat\r\nX-Forwarded-For: {client}\r\nConnection: close\r\n\r\n")
    };
    assert!(secured.ask(&request("192.0.2.1")).await.starts_with("HTTP/1.1 401"), "it is let in and asked who it is");
}

#[tokio::test]
async fn who_speaks_http_without_tls_is_told_what_to_write() {
    let secured = Secured::start();
    let mut stream = TcpStream::connect(secured.address()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: chat\r\n\r\n").await.unwrap();
    let answer = String::from_utf8(rest(stream).await).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 ") && body.contains("https://"), "{answer}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{answer}");
    secured.until(r#"bobchat_tls_handshakes_total{outcome="plain"}"#, 1.0).await;
}

/// A hello of TLS 1.1 (RFC 4346) with TLS_RSA_WITH_AES_128_CBC_SHA, and algorithms of signatures for those who ask.
fn hello_of_tls_1_1() -> Vec<u8> {
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    hello.extend([0, 8, 0, 13, 0, 4, 0, 2, 4, 3]);
    let mut message = vec![1, 0, 0, u8::try_from(hello.len()).unwrap()];
    message.extend(hello);
    let mut record = vec![22, 3, 1, 0, u8::try_from(message.len()).unwrap()];
    record.extend(message);
    record
}

#[tokio::test]
async fn tls_1_1_and_other_protocols_inside_are_refused_with_an_alert() {
    let secured = Secured::start();
    let mut stream = TcpStream::connect(secured.address()).await.unwrap();
    stream.write_all(&hello_of_tls_1_1()).await.unwrap();
    let alert = rest(stream).await;
    // A record that is an alert, fatal (2): protocol_version (70).
    assert_eq!((alert.first(), alert.get(5..)), (Some(&21), Some([2, 70].as_slice())), "{alert:?}");
    let refused = shake(secured.address(), secured.authority.client(&["h2"])).await.unwrap_err();
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
    shake(secured.address(), secured.authority.client(&[])).await.expect("who asks for no protocol is let in");
    let stranger = shake(secured.address(), Authority::new().client(&[])).await.unwrap_err();
    assert!(stranger.to_string().contains("invalid peer certificate"), "{stranger}");
    secured.until(r#"bobchat_tls_handshakes_total{outcome="failed"}"#, 3.0).await;
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_the_others_live_on() {
    let secured = Secured::start();
    let mut ada = secured.person("Ada").await;
    let before = shown(&secured.stream().await);
    let room = ada.make_room("tea").await;
    let (ends, reloads) = ("bobchat_tls_certificate_not_after_seconds", "bobchat_tls_reloads_total");
    assert!(secured.metric(ends) > 1e9);
    // The certificate of another key: it does not fit the key that is there.
    let other = secured.authority.write(secured.folder.path(), "other", &["127.0.0.1"]);
    std::fs::copy(&other.certificate, &secured.files.certificate).unwrap();
    hang_up();
    secured.until("bobchat_tls_certificate_refused", 1.0).await;
    assert_eq!(shown(&secured.stream().await), before, "the last good one is shown on");
    std::fs::copy(&other.key, &secured.files.key).unwrap();
    hang_up();
    secured.until(reloads, 1.0).await;
    assert_eq!(secured.metric("bobchat_tls_certificate_refused"), 0.0);
    assert_ne!(shown(&secured.stream().await), before);
    ada.say(&room, "still here").await;
    std::fs::remove_file(&secured.files.key).unwrap();
    hang_up();
    secured.until("bobchat_tls_certificate_refused", 1.0).await;
    secured.stream().await;
    assert_eq!(secured.metric(reloads), 1.0);
}

/// Tells this process, which the server is a part of, to look at its files.
fn hang_up() {
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::HUP).unwrap();
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_keeps_the_server_from_starting() {
    use crate::cli::check_with;
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let good = authority.write(folder.path(), "server", &["127.0.0.1"]);
    let other = authority.write(folder.path(), "other", &["127.0.0.1"]);
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    let missing = folder.path().join("missing.pem");
    let cases: [(&Path, &Path, &str); 5] = [
        (&good.certificate, &other.key, "it is not the key of the certificate beside it"),
        (&empty, &good.key, "it holds no certificate in PEM"),
        (&good.certificate, &empty, "it holds no private key in PEM without a password"),
        (&missing, &good.key, "it cannot be read: No such file"),
        (&good.certificate, Path::new(""), "only one is given: a certificate needs its key; give both"),
    ];
    for (certificate, key, said) in cases {
        let settings =
            [("SERVER__TLS_CERTIFICATE", certificate.to_str().unwrap()), ("SERVER__TLS_KEY", key.to_str().unwrap())];
        let (code, text) = check_with(&settings);
        assert!(code == Some(2) && text.contains(said) && text.contains("server.tls_"), "{code:?} {text}");
    }
    let collector = ("TELEMETRY__OTLP_ENDPOINT", "https://127.0.0.1:1");
    let (code, text) = check_with(&[collector, ("TELEMETRY__OTLP_CERTIFICATES", empty.to_str().unwrap())]);
    assert!(code == Some(2) && text.contains("telemetry.otlp_certificates"), "{code:?} {text}");
    assert!(text.contains("it holds no certificate in PEM"), "{text}");
    let settings = [
        ("SERVER__TLS_CERTIFICATE", good.certificate.to_str().unwrap()),
        ("SERVER__TLS_KEY", good.key.to_str().unwrap()),
    ];
    let (code, text) = check_with(&settings);
    assert!(code == Some(0) && text.contains("good     server.tls_certificate"), "{code:?} {text}");
}
