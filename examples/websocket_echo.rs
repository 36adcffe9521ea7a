//! An echo in the place of the session, and all else as a client of Bobchat meets it: the request is taken by the
//! same HTTP service, bytes come in through the same inlet with its guard, and leave through the same outlet.
//! What the Autobahn test suite speaks to (`scripts/autobahn`). Listens on a free port of 127.0.0.1 and prints it.

use std::net::{Ipv4Addr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use actix_codec::Framed;
use actix_http::body::BodySize;
use actix_http::h1::{Codec, Message};
use actix_http::ws::{handshake_response, verify_handshake};
use actix_http::{HttpService, Request, Response, StatusCode};
use actix_server::Server;
use actix_service::fn_service;
use anyhow::Result;
use bobchat::web::ws::guard::Limits;
use bobchat::web::ws::socket::{SocketInlet, SocketWire};
use bobchat_actors::hub::{OutboundBudget, Outlet, SessionId};
use bobchat_actors::session::frame::{self, BINARY, TEXT};
use bobchat_actors::session::{Incoming, Inlet as _};
use bobchat_proto::codec::Format;
use bobchat_proto::error::CloseCode;
use bytes::{Bytes, BytesMut};
use futures_util::SinkExt as _;
use tokio::net::TcpStream;

/// Roomier than Bobchat ever is: the suite sends messages of 16 MiB, and of 65 536 fragments.
const LIMITS: Limits = Limits { message_bytes_max: 16 << 20, fragments_max: 1 << 17 };

/// What may wait for the suite: some of its largest messages.
const OUTBOUND_BYTES_MAX: usize = 64 << 20;

fn main() -> Result<()> {
    actix_rt::System::new().block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        announce(listener.local_addr()?.port())?;
        let server = Server::build().workers(1).listen("echo", listener, || {
            HttpService::build()
                .tcp_nodelay(true)
                .upgrade(fn_service(|(request, framed)| async move {
                    // A client that goes away in the middle is what the suite does on purpose.
                    serve(&request, framed).await.ok();
                    Ok::<_, actix_http::Error>(())
                }))
                .h1(fn_service(|_: Request| async { Ok::<_, actix_http::Error>(Response::new(StatusCode::NOT_FOUND)) }))
                .tcp()
        })?;
        Ok(server.run().await?)
    })
}

/// The script waits for this line.
#[expect(clippy::print_stdout, reason = "the port is what this program tells")]
fn announce(port: u16) -> Result<()> {
    println!("{port}");
    Ok(std::io::Write::flush(&mut std::io::stdout())?)
}

async fn serve(request: &Request, mut framed: Framed<TcpStream, Codec>) -> Result<()> {
    verify_handshake(request.head())?;
    let response = handshake_response(request.head()).finish().drop_body();
    framed.send(Message::Item((response, BodySize::None))).await?;
    let parts = framed.into_parts();
    let mut inlet = SocketInlet::within(LIMITS, parts.read_buf);
    let budget = Arc::new(OutboundBudget::new(OUTBOUND_BYTES_MAX, usize::MAX, Default::default()));
    let outlet = Outlet::over(SocketWire::new(parts.io), SessionId(1), Format::Json, budget, 0);
    answer(&mut inlet, &outlet);
    std::future::poll_fn(|context| {
        while outlet.poll_flush(context).is_pending() {
            match inlet.poll_read(outlet.wire(), context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_) | Ok(0)) => break,
                Poll::Ready(Ok(_)) => answer(&mut inlet, &outlet),
            }
        }
        Poll::Ready(())
    })
    .await;
    Ok(())
}

/// Answers everything that has come.
fn answer(inlet: &mut SocketInlet, outlet: &Rc<Outlet>) {
    while outlet.is_open() {
        match inlet.next() {
            Ok(None) => return,
            Ok(Some(Incoming::Text(text))) => outlet.push_soon(framed(TEXT, &text)),
            Ok(Some(Incoming::Binary(bytes))) => outlet.push_soon(framed(BINARY, &bytes)),
            Ok(Some(Incoming::Ping(payload))) => outlet.push_soon(frame::pong(&payload)),
            Ok(Some(Incoming::Pong)) => {}
            Ok(Some(Incoming::Close(_))) => outlet.close(CloseCode::Normal),
            Err(code) => outlet.close(code),
        }
    }
    inlet.discard();
}

fn framed(first: u8, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    frame::append_raw(first, payload, &mut out);
    out.freeze()
}
