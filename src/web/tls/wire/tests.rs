use std::sync::Arc;
use std::time::Duration;

use bobchat_actors::hub::{OutboundBudget, Outlet, SessionId};
use bobchat_proto::codec::Format;
use bytes::Bytes;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

/// Both ends of a connection whose handshake is done.
async fn pair() -> (TlsWire, TlsStream<TcpStream>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let provider = Arc::new(default_provider());
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let server = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let client = Arc::new(client.with_root_certificates(roots).with_no_client_auth());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accept = async {
        let (socket, _) = listener.accept().await.unwrap();
        let wire = TlsWire::new(socket, ServerConnection::new(Arc::new(server)).unwrap());
        std::future::poll_fn(|context| wire.poll_handshake(context)).await.unwrap();
        wire
    };
    let connect = async {
        let stream = TcpStream::connect(address).await.unwrap();
        TlsConnector::from(client).connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
    };
    tokio::join!(accept, connect)
}

fn is_blocked<T>(result: &io::Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// Bytes of which each says where it stands.
fn numbered(length: usize) -> Vec<u8> {
    (0..length).map(|number| (number / 7 % 251) as u8).collect()
}

#[tokio::test]
async fn what_the_socket_does_not_take_is_held_bounded_and_comes_in_order() {
    let (wire, mut client) = pair().await;
    let bytes = numbered(64 * 1024 * 1024);
    let mut written = 0;
    // Pieces of all sizes until the socket takes no more.
    for size in (1..).map(|number| number * 977 % 60_000 + 1) {
        match wire.try_write(&bytes[written..written + size]) {
            Ok(taken) => written += taken,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                break;
            }
        }
    }
    let held = wire.held();
    assert!(held > 0 && held <= RECORD_BYTES_MAX + 64, "{held} bytes");
    assert!(is_blocked(&wire.try_write(b"more")) && is_blocked(&wire.try_write_vectored(&[IoSlice::new(b"more")])));
    assert_eq!(wire.held(), held, "nothing is encrypted while something is held");
    let end = written + 300_000;
    let write = async {
        while written < end {
            std::future::poll_fn(|context| wire.poll_writable(context)).await.unwrap();
            let slices: Vec<_> = bytes[written..end].chunks(1_000).map(IoSlice::new).take(64).collect();
            match wire.try_write_vectored(&slices) {
                Ok(taken) => written += taken,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        std::future::poll_fn(|context| wire.poll_sent(context)).await.unwrap();
        assert_eq!(wire.held(), 0);
        wire.shutdown();
    };
    let mut heard = Vec::new();
    let read = async { client.read_to_end(&mut heard).await.expect("the end is said, not only there") };
    tokio::time::timeout(PATIENCE, async { tokio::join!(write, read) }).await.unwrap();
    assert!(heard == bytes[..end], "{} of {end} bytes", heard.len());
    assert_eq!(wire.session.borrow().unsent.capacity(), 0, "an idle connection holds no buffer");
}

#[tokio::test]
async fn an_outlet_counts_what_is_held_among_what_waits_and_sends_it_first() {
    let (wire, mut client) = pair().await;
    let budget = Arc::new(OutboundBudget::new(1 << 20, 1 << 20, Default::default()));
    let outlet = Outlet::over(wire, SessionId(1), Format::Json, budget.clone(), 0);
    let bytes = Bytes::from(numbered(16 * 1024 * 1024));
    let (mut pushed, piece) = (0, 200);
    while outlet.waiting() < 100_000 {
        outlet.push(&bytes.slice(pushed..pushed + piece));
        pushed += piece;
    }
    assert_eq!(budget.waiting(), outlet.waiting());
    let mut heard = vec![0; pushed];
    let flush = std::future::poll_fn(|context| {
        let _ = outlet.poll_flush(context);
        outlet.poll_below(0, context)
    });
    let all = async { tokio::join!(flush, client.read_exact(&mut heard)).1.unwrap() };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
    assert!(heard == bytes[..pushed]);
    assert_eq!((outlet.waiting(), budget.waiting()), (0, 0));
    while outlet.is_open() {
        outlet.push(&bytes.slice(..1000));
    }
    assert!(outlet.waiting() < 40_000, "a slow consumer keeps what is held and a piece: {}", outlet.waiting());
    outlet.die();
    assert_eq!((outlet.waiting(), budget.waiting()), (0, 0));
    drop(outlet);
    assert_eq!(budget.waiting(), 0);
}

#[tokio::test]
async fn what_is_decrypted_and_not_read_yet_can_be_read_without_the_socket() {
    let (wire, mut client) = pair().await;
    client.write_all(&numbered(10_000)).await.unwrap();
    client.shutdown().await.unwrap();
    let mut heard = Vec::new();
    let mut little = [0; 100];
    let read = async {
        loop {
            std::future::poll_fn(|context| wire.poll_readable(context)).await.unwrap();
            match wire.try_read(&mut little) {
                Ok(0) => break,
                Ok(read) => heard.extend_from_slice(&little[..read]),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap();
    assert_eq!(heard, numbered(10_000));
}

#[tokio::test]
async fn what_came_whole_before_a_connection_broke_is_heard() {
    let (wire, mut client) = pair().await;
    client.write_all(b"whole").await.unwrap();
    client.flush().await.unwrap();
    client.get_mut().0.write_all(&[0xff; 64]).await.unwrap();
    let mut into = [0; 64];
    let mut heard = Vec::new();
    let error = loop {
        std::future::poll_fn(|context| wire.poll_readable(context)).await.unwrap();
        match wire.try_read(&mut into) {
            Ok(read) => heard.extend_from_slice(&into[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => break error,
        }
    };
    assert_eq!((heard.as_slice(), error.kind()), (&b"whole"[..], io::ErrorKind::InvalidData));
}
