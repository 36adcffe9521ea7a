//! A client that speaks the JSON protocol and remembers what it heard.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::backend;

/// Longer than anything takes on a busy machine; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a client's bytes go over.
pub(crate) trait Carrier: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Carrier for S {}

pub(crate) struct Client {
    socket: WebSocketStream<Box<dyn Carrier>>,
    next_id: u64,
    /// Events and signals that came while an answer was waited for.
    heard: VecDeque<Value>,
    pub(crate) user: String,
}

impl Client {
    /// Connects without signing in.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).await.expect("the handshake was refused")
    }

    /// The same; none when the handshake is refused.
    pub(crate) async fn try_connect(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).await.unwrap();
        Self::over(Box::new(stream), &format!("ws://{address}/api/v1/ws")).await
    }

    /// Connects over a stream that is there already.
    pub(crate) async fn over(stream: Box<dyn Carrier>, url: &str) -> Option<Self> {
        let request = url.into_client_request().unwrap();
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.ok()?;
        Some(Self { socket, next_id: 1, heard: VecDeque::new(), user: String::new() })
    }

    /// Connects and signs in.
    pub(crate) async fn signed_in(address: SocketAddr, token: &str) -> Self {
        Self::resumed(address, token, json!([])).await.0
    }

    /// Connects, signs in and resumes; gives the answer too.
    pub(crate) async fn resumed(address: SocketAddr, token: &str, cursors: Value) -> (Self, Value) {
        let mut client = Self::connect(address).await;
        let answer = client.sign_in(token, cursors).await;
        (client, answer)
    }

    /// Signs in and resumes.
    pub(crate) async fn sign_in(&mut self, token: &str, cursors: Value) -> Value {
        let answer = self.ok("auth", json!({"token": token, "cursors": cursors})).await;
        self.user = answer["user"]["id"].as_str().unwrap().to_owned();
        answer
    }

    /// Sends a request and returns its id.
    pub(crate) async fn ask(&mut self, request: &str, body: Value) -> u64 {
        let id = self.next_id();
        self.send_raw(&json!({"id": id, request: body}).to_string()).await;
        id
    }

    /// A number for the next request.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    /// Sends a request to a server that may be dying.
    pub(crate) async fn try_ask(&mut self, id: u64, request: &str, body: Value) {
        let _ = self.socket.send(Message::text(json!({"id": id, request: body}).to_string())).await;
    }

    /// The next frame; none when the connection has ended.
    pub(crate) async fn try_read(&mut self) -> Option<Value> {
        loop {
            match tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("nothing came") {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The answer to a request: `ok` or `error`. What comes before it is kept.
    pub(crate) async fn answer(&mut self, id: u64) -> Value {
        if let Some(index) = self.heard.iter().position(|frame| frame["id"] == id) {
            return self.heard.remove(index).unwrap();
        }
        loop {
            let frame = self.read().await;
            if frame["id"] == id {
                return frame;
            }
            self.heard.push_back(frame);
        }
    }

    /// Asks and expects success.
    pub(crate) async fn ok(&mut self, request: &str, body: Value) -> Value {
        let id = self.ask(request, body.clone()).await;
        self.succeeds(id, request, body).await[request].clone()
    }

    /// Waits for the success of what was asked. Where `busy` may be said it is asked again, as a client does: it says
    /// that nothing was done, and when to come back.
    async fn succeeds(&mut self, mut id: u64, request: &str, body: Value) -> Value {
        let give_up = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = self.answer(id).await;
            if answer["ok"].is_object() {
                return answer["ok"].clone();
            }
            let is_busy = backend::MAY_BE_BUSY && answer["error"]["code"] == "busy";
            assert!(is_busy && tokio::time::Instant::now() < give_up, "{request} failed: {answer}");
            let wait = answer["error"]["retry_after_ms"].as_u64().expect("it says when to come back");
            tokio::time::sleep(Duration::from_millis(wait)).await;
            id = self.ask(request, body.clone()).await;
        }
    }

    /// Asks and expects failure.
    pub(crate) async fn error(&mut self, request: &str, body: Value) -> Value {
        let id = self.ask(request, body).await;
        let answer = self.answer(id).await;
        assert!(answer["error"].is_object(), "{request} succeeded: {answer}");
        answer["error"].clone()
    }

    /// The next event or signal.
    pub(crate) async fn hear(&mut self) -> Value {
        match self.heard.pop_front() {
            Some(frame) => frame,
            None => self.read().await,
        }
    }

    /// The next event of a room; signals are passed over.
    pub(crate) async fn event(&mut self) -> Value {
        loop {
            let frame = self.hear().await;
            if frame["event"].is_object() {
                return frame["event"].clone();
            }
        }
    }

    /// The next error that answers no request; what comes before it is passed over.
    pub(crate) async fn hear_error(&mut self) -> Value {
        loop {
            let frame = self.hear().await;
            if frame["error"].is_object() {
                return frame["error"].clone();
            }
        }
    }

    /// The seqs of the next `count` events.
    pub(crate) async fn seqs(&mut self, count: usize) -> Vec<u64> {
        let mut seqs = Vec::with_capacity(count);
        for _ in 0..count {
            seqs.push(self.event().await["seq"].as_u64().unwrap());
        }
        seqs
    }

    /// Makes a public room and subscribes to it.
    pub(crate) async fn make_room(&mut self, name: &str) -> String {
        let made = self.ok("room_create", json!({"name": name, "key": format!("make-{name}")})).await;
        let room = made["room"]["id"].as_str().unwrap().to_owned();
        self.subscribe(&room).await;
        room
    }

    pub(crate) async fn join(&mut self, room: &str) {
        self.ok("room_join", json!({"room": room})).await;
    }

    /// Subscribes from the head on.
    pub(crate) async fn subscribe(&mut self, room: &str) -> Value {
        self.ok("subscribe", json!({"room": room})).await
    }

    /// Sends a message and waits for its ack.
    pub(crate) async fn say(&mut self, room: &str, text: &str) -> Value {
        let key = format!("{}-{}", self.user, self.next_id);
        self.ok("message_send", json!({"room": room, "key": key, "text": text})).await
    }

    /// Sends messages without waiting for each ack, at most 500 at a time, and waits for all of them.
    pub(crate) async fn say_many(&mut self, room: &str, from: usize, count: usize, text: impl Fn(usize) -> String) {
        let numbers: Vec<usize> = (from..from + count).collect();
        for window in numbers.chunks(500) {
            let mut asked = Vec::with_capacity(window.len());
            for number in window {
                let request = json!({"room": room, "key": format!("k{number}"), "text": text(*number)});
                asked.push((self.ask("message_send", request.clone()).await, request));
            }
            for (id, request) in asked {
                self.succeeds(id, "message_send", request).await;
            }
        }
    }

    /// Nothing but signals comes for a while: long enough for what a busy thread would still send.
    pub(crate) async fn hears_no_event(&mut self) {
        self.ok("ping", json!({})).await;
        let quiet = tokio::time::timeout(Duration::from_millis(300), self.event()).await;
        assert!(quiet.is_err(), "an event came: {quiet:?}");
    }

    pub(crate) async fn send_raw(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn send_message(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    /// The code of the close frame; what comes before it is kept.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        loop {
            match tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("no close frame came") {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(Message::Text(text))) => self.heard.push_back(serde_json::from_str(&text).unwrap()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    async fn read(&mut self) -> Value {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("nothing came");
            match message.expect("the connection ended").expect("the connection broke") {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(frame) => panic!("the server closed: {frame:?}"),
                _ => {}
            }
        }
    }
}
