//! A server that speaks as much of the protocol as the harness uses. In memory, honest, slow: the tests
//! are about the harness.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bobchat_proto::codec::{self, Format};
use bobchat_proto::error::ErrorCode;
use bobchat_proto::wire::{self, client_frame::Request, event, ok, server_frame::Body};
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::ws;

/// How much later somebody who left is counted as such by a server that notices late.
const NOTICED_AFTER: Duration = Duration::from_millis(400);

/// What the server does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Honest,
    /// Refuses every post as too many.
    RateLimited,
    /// Says in its metrics that it acknowledged one message less.
    Miscounts,
    /// Leaves a message out of every page of history.
    LeavesOut,
    /// Leaves the first event out of what it replays.
    SkipsReplayed,
    /// Counts who left a moment later.
    NoticesLate,
    /// Lets in every second guest who asks.
    LimitsGuests,
    /// Gives tokens that end soon, and has nobody who renews them.
    CannotRenew,
    /// Gives tokens that end soon, and does not know whoever renews them.
    ForgetsUsers,
}

#[derive(Default)]
struct Room {
    seq: u64,
    ordinal: u64,
    receivers: Vec<Client>,
    messages: Vec<wire::Event>,
    /// What was answered under each key.
    keys: HashMap<String, wire::MessageSendOk>,
}

/// The way out to a client.
#[derive(Clone)]
struct Client {
    format: Format,
    sender: mpsc::UnboundedSender<Vec<u8>>,
}

impl Client {
    fn send(&self, frame: &wire::ServerFrame) {
        // A client that went away misses nothing.
        let _ = self.sender.send(server_frame(frame, self.format));
    }
}

struct State {
    behaviour: Behaviour,
    rooms: HashMap<u64, Room>,
    next_id: u64,
    sessions: u64,
    acknowledged: u64,
    deliveries: u64,
    /// Guests who asked to be let in.
    asked: u64,
    guests: u64,
}

impl State {
    fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour,
            rooms: HashMap::new(),
            next_id: 1_000,
            sessions: 0,
            acknowledged: 0,
            deliveries: 0,
            asked: 0,
            guests: 0,
        }
    }

    fn make_room(&mut self) -> wire::Room {
        self.next_id += 1;
        self.rooms.insert(self.next_id, Room { seq: 1, ..Room::default() });
        wire::Room { id: self.next_id, ..Default::default() }
    }

    /// As Prometheus would read it.
    fn metrics(&self) -> String {
        let acknowledged =
            self.acknowledged - u64::from(self.behaviour == Behaviour::Miscounts && self.acknowledged > 0);
        format!(
            "bobchat_messages_acknowledged_total {acknowledged}\nbobchat_deliveries_total {}\nbobchat_sessions {}\n\
             guests {}\n",
            self.deliveries, self.sessions, self.guests
        )
    }
}

/// Starts the server on a thread of its own.
pub fn start(behaviour: Behaviour) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let state = Arc::new(Mutex::new(State::new(behaviour)));
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&state)));
            }
        });
    });
    address
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    loop {
        let Some(head) = ws::read_head(&mut stream, &mut buffer).await else { return };
        if let Some(key) = ws::header(&head, "sec-websocket-key") {
            let offered = ws::header(&head, "sec-websocket-protocol").unwrap();
            let format = Format::ALL.into_iter().find(|format| format.subprotocol() == offered).unwrap();
            if state.lock().unwrap().behaviour == Behaviour::SkipsReplayed {
                // Long enough that something is said while somebody comes back.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            ws::upgrade(&mut stream, &key, Some(format.subprotocol())).await;
            return speak(stream, buffer, format, state).await;
        }
        let length: usize = ws::header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while buffer.len() < length {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        buffer.advance(length);
        let answer = rest(&head, &mut state.lock().unwrap());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The answer to a request of HTTP.
fn rest(head: &str, state: &mut State) -> String {
    let path = head.split(' ').nth(1).unwrap();
    let body = match path {
        "/metrics" => state.metrics(),
        "/api/v1/rooms" => serde_json::to_string(&wire::RoomCreateOk { room: Some(state.make_room()) }).unwrap(),
        join if join.ends_with("/join") => {
            let room: u64 = join.split('/').nth(4).unwrap().parse().unwrap();
            state.rooms.get_mut(&room).unwrap().seq += 1;
            serde_json::to_string(&wire::RoomJoinOk::default()).unwrap()
        }
        "/api/v1/tokens/refresh" => match state.behaviour {
            Behaviour::CannotRenew => return refused("503 Service Unavailable", ErrorCode::Unavailable),
            Behaviour::ForgetsUsers => return refused("401 Unauthorized", ErrorCode::Unauthenticated),
            _ => grant(state),
        },
        _ => {
            state.asked += 1;
            if state.behaviour == Behaviour::LimitsGuests && state.asked.is_multiple_of(2) {
                return refused("429 Too Many Requests", ErrorCode::RateLimited);
            }
            state.guests += 1;
            grant(state)
        }
    };
    http("200 OK", &body)
}

fn grant(state: &State) -> String {
    let access_expires_at = match state.behaviour {
        // Within the time in which clients renew their tokens.
        Behaviour::CannotRenew | Behaviour::ForgetsUsers => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            (now + Duration::from_secs(60)).as_micros() as i64
        }
        // Long after every test.
        _ => 4_000_000_000_000_000,
    };
    let (access_token, refresh_token) = ("any".into(), "any".into());
    let grant = wire::TokenGrant { access_token, refresh_token, access_expires_at, ..Default::default() };
    serde_json::to_string(&grant).unwrap()
}

fn refused(status: &str, code: ErrorCode) -> String {
    let error = code.error("not now").with_retry_after(Duration::from_millis(10));
    http(status, &serde_json::to_string(&error).unwrap())
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

async fn speak(stream: TcpStream, mut buffer: BytesMut, format: Format, state: Arc<Mutex<State>>) {
    let (mut read, mut write) = stream.into_split();
    let (sender, mut outgoing) = mpsc::unbounded_channel::<Vec<u8>>();
    let writer = tokio::spawn(async move {
        while let Some(bytes) = outgoing.recv().await {
            if write.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let client = Client { format, sender };
    state.lock().unwrap().sessions += 1;
    loop {
        while let Some((opcode, payload)) = ws::client_frame(&mut buffer) {
            if opcode < 8 {
                let frame = codec::decode_client_frame(&payload, format).unwrap();
                answer(frame, &client, &mut state.lock().unwrap());
            }
        }
        if read.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
            if state.lock().unwrap().behaviour == Behaviour::NoticesLate {
                tokio::time::sleep(NOTICED_AFTER).await;
            }
            state.lock().unwrap().sessions -= 1;
            return writer.abort();
        }
    }
}

fn answer(frame: wire::ClientFrame, client: &Client, state: &mut State) {
    let id = Some(frame.id);
    let mut replayed = Vec::new();
    let result = match frame.request.unwrap() {
        Request::Auth(auth) => {
            let mut subscribed = Vec::new();
            for cursor in auth.cursors {
                let at = Some(wire::Position { epoch: cursor.epoch, seq: cursor.seq });
                let (answer, mut events) = subscribe(cursor.room, at, client, state);
                subscribed.push(answer);
                replayed.append(&mut events);
            }
            ok::Result::Auth(wire::AuthOk { subscribed, ..Default::default() })
        }
        Request::RoomCreate(_) => ok::Result::RoomCreate(wire::RoomCreateOk { room: Some(state.make_room()) }),
        Request::RoomJoin(join) => {
            state.rooms.get_mut(&join.room).unwrap().seq += 1;
            ok::Result::RoomJoin(wire::RoomJoinOk::default())
        }
        Request::Subscribe(asked) => {
            let (answer, events) = subscribe(asked.room, asked.cursor, client, state);
            replayed = events;
            ok::Result::Subscribe(answer)
        }
        Request::MessageSend(_) if state.behaviour == Behaviour::RateLimited => {
            let error = ErrorCode::RateLimited.error("too many messages");
            return client.send(&wire::ServerFrame { id, body: Some(Body::Error(error)) });
        }
        Request::MessageSend(send) => ok::Result::MessageSend(append(send, state)),
        Request::MessageHistory(asked) => ok::Result::MessageHistory(page(&asked, state)),
        Request::Typing(_) => ok::Result::Typing(wire::TypingOk::default()),
        other => panic!("the small server does not know {}", other.name()),
    };
    let body = Some(Body::Ok(wire::Ok { result: Some(result) }));
    client.send(&wire::ServerFrame { id, body });
    for event in replayed {
        client.send(&wire::ServerFrame { id: None, body: Some(Body::Event(event)) });
    }
}

/// The answer to a subscription, and the events that follow it. Only messages are kept here, so nothing else is
/// replayed: nobody joins while a load goes on.
fn subscribe(
    id: u64,
    cursor: Option<wire::Position>,
    client: &Client,
    state: &mut State,
) -> (wire::SubscribeOk, Vec<wire::Event>) {
    let skipped = usize::from(state.behaviour == Behaviour::SkipsReplayed);
    let room = state.rooms.get_mut(&id).unwrap();
    room.receivers.retain(|receiver| !receiver.sender.is_closed());
    room.receivers.push(client.clone());
    let head = Some(wire::Position { epoch: 1, seq: room.seq });
    let after = cursor.map_or(u64::MAX, |cursor| cursor.seq);
    let events = room.messages.iter().filter(|event| event.seq > after).skip(skipped).cloned().collect();
    (wire::SubscribeOk { room: id, head, ..Default::default() }, events)
}

fn append(send: wire::MessageSend, state: &mut State) -> wire::MessageSendOk {
    let room = state.rooms.get_mut(&send.room).unwrap();
    if let Some(answered) = room.keys.get(&send.key) {
        return *answered;
    }
    state.next_id += 1;
    let id = state.next_id;
    room.seq += 1;
    room.ordinal += 1;
    let at = id as i64;
    let event = wire::Event {
        room: send.room,
        epoch: 1,
        seq: room.seq,
        at,
        id,
        author: 1,
        ordinal: Some(room.ordinal),
        key: Some(send.key.clone()),
        body: Some(event::Body::Message(wire::Message { text: send.text })),
        ..wire::Event::default()
    };
    room.messages.push(event.clone());
    let frame = wire::ServerFrame { id: None, body: Some(Body::Event(event)) };
    for receiver in &room.receivers {
        receiver.send(&frame);
    }
    state.deliveries += room.receivers.len() as u64;
    state.acknowledged += 1;
    let position = Some(wire::Position { epoch: 1, seq: room.seq });
    let answer = wire::MessageSendOk { room: send.room, position, ordinal: room.ordinal, id, at };
    room.keys.insert(send.key, answer);
    answer
}

fn page(asked: &wire::MessageHistory, state: &State) -> wire::MessageHistoryOk {
    let limit = asked.limit.unwrap_or(50) as usize;
    let before = asked.before.unwrap_or(u64::MAX);
    let older: Vec<_> = state.rooms[&asked.room].messages.iter().filter(|event| event.seq < before).collect();
    let begin = older.len().saturating_sub(limit);
    let mut messages: Vec<_> = older[begin..].iter().map(|event| (*event).clone()).collect();
    if state.behaviour == Behaviour::LeavesOut && messages.len() > 2 {
        messages.remove(1);
    }
    wire::MessageHistoryOk { messages, has_more_before: begin > 0, ..Default::default() }
}

fn server_frame(frame: &wire::ServerFrame, format: Format) -> Vec<u8> {
    let mut payload = BytesMut::new();
    codec::encode_server_frame(frame, format, &mut payload);
    let opcode = if format == Format::Json { ws::TEXT } else { ws::BINARY };
    ws::frame(opcode, &payload)
}
