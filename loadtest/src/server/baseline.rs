//! The baseline: the chat room that every tutorial on actix teaches. One actor holds all rooms and
//! sends a `String` to the actor of every session, which writes it as a WebSocket frame.
//!
//! Deliberately so: no shared encoding, no bounds, no acks, nothing stored.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use actix_web_actors::ws;

use crate::dialect::{BASELINE_EVENT, BASELINE_JOINED};
use crate::say::say;

/// How often a session pings.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long a client may be silent.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until it is killed.
///
/// # Errors
/// When it cannot listen.
pub(crate) fn serve(listen: SocketAddr) -> anyhow::Result<()> {
    actix_web::rt::System::new().block_on(async move {
        let chat = Chat::default().start();
        let server = HttpServer::new(move || {
            App::new().app_data(web::Data::new(chat.clone())).route("/ws/{room}", web::get().to(enter))
        });
        let server = server.backlog(4096).bind(listen)?;
        for address in server.addrs() {
            say(&format!("listening on {address}"));
        }
        server.run().await?;
        Ok(())
    })
}

async fn enter(
    request: HttpRequest,
    stream: web::Payload,
    room: web::Path<u64>,
    chat: web::Data<Addr<Chat>>,
) -> Result<HttpResponse, actix_web::Error> {
    let session = Session { room: room.into_inner(), chat: chat.get_ref().clone(), heard: Instant::now() };
    ws::start(session, &request, stream)
}

/// Something to write to a session.
#[derive(Message)]
#[rtype(result = "()")]
struct Deliver(String);

/// A session enters a room.
#[derive(Message)]
#[rtype(result = "()")]
struct Join {
    room: u64,
    session: Recipient<Deliver>,
}

/// A session says something.
#[derive(Message)]
#[rtype(result = "()")]
struct Say {
    room: u64,
    text: String,
}

/// All rooms.
#[derive(Default)]
struct Chat {
    rooms: HashMap<u64, Room>,
}

#[derive(Default)]
struct Room {
    seq: u64,
    sessions: Vec<Recipient<Deliver>>,
}

impl Actor for Chat {
    type Context = Context<Self>;
}

impl Handler<Join> for Chat {
    type Result = ();

    fn handle(&mut self, Join { room: id, session }: Join, _: &mut Self::Context) {
        let room = self.rooms.entry(id).or_default();
        session.do_send(Deliver(format!("{BASELINE_JOINED} {id} {}", room.seq)));
        room.sessions.push(session);
    }
}

impl Handler<Say> for Chat {
    type Result = ();

    fn handle(&mut self, Say { room: id, text }: Say, _: &mut Self::Context) {
        let room = self.rooms.entry(id).or_default();
        room.seq += 1;
        let text = format!("{BASELINE_EVENT} {id} {} {text}", room.seq);
        room.sessions.retain(Recipient::connected);
        for session in &room.sessions {
            session.do_send(Deliver(text.clone()));
        }
    }
}

/// One connection.
struct Session {
    room: u64,
    chat: Addr<Chat>,
    heard: Instant,
}

impl Actor for Session {
    type Context = ws::WebsocketContext<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(HEARTBEAT, |session, context| {
            if session.heard.elapsed() > CLIENT_TIMEOUT {
                context.stop();
            } else {
                context.ping(b"");
            }
        });
        self.chat.do_send(Join { room: self.room, session: context.address().recipient() });
    }
}

impl Handler<Deliver> for Session {
    type Result = ();

    fn handle(&mut self, Deliver(text): Deliver, context: &mut Self::Context) {
        context.text(text);
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Session {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, context: &mut Self::Context) {
        self.heard = Instant::now();
        match message {
            Ok(ws::Message::Text(text)) => self.chat.do_send(Say { room: self.room, text: text.to_string() }),
            Ok(ws::Message::Ping(bytes)) => context.pong(&bytes),
            Ok(ws::Message::Close(reason)) => {
                context.close(reason);
                context.stop();
            }
            Ok(_) => {}
            Err(_) => context.stop(),
        }
    }
}
