//! A person at a socket made of memory.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bobchat_actors::Worker;
use bobchat_actors::hub::Wire;
use bobchat_actors::session::{Incoming, Inlet, Session};
use bobchat_proto::codec::{Format, decode_server_frame, encode_client_frame};
use bobchat_proto::error::CloseCode;
use bobchat_proto::wire::client_frame::Request;
use bobchat_proto::wire::{self, ok, server_frame::Body};
use bytes::BytesMut;

use crate::node::PATIENCE;

#[derive(Default)]
struct Pipe {
    to_server: VecDeque<Incoming>,
    to_client: Vec<u8>,
    reader: Option<Waker>,
    hung_up: bool,
    /// Nothing more fits in.
    clogged: bool,
}

struct MemoryWire(Rc<RefCell<Pipe>>);

impl Wire for MemoryWire {
    fn try_read(&self, _: &mut [u8]) -> io::Result<usize> {
        unreachable!("the inlet takes whole messages out of the pipe")
    }

    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        unreachable!("the inlet takes whole messages out of the pipe")
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut pipe = self.0.borrow_mut();
        if pipe.clogged {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        pipe.to_client.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        slices.iter().map(|slice| self.try_write(slice)).sum()
    }

    fn shutdown(&self) {}

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.borrow().clogged { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

struct MemoryInlet {
    pipe: Rc<RefCell<Pipe>>,
    read: VecDeque<Incoming>,
}

impl Inlet for MemoryInlet {
    fn poll_read(&mut self, _: &dyn Wire, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut pipe = self.pipe.borrow_mut();
        if pipe.hung_up {
            return Poll::Ready(Ok(0));
        }
        if pipe.to_server.is_empty() {
            pipe.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        self.read.append(&mut pipe.to_server);
        Poll::Ready(Ok(self.read.len()))
    }

    fn next(&mut self) -> Result<Option<Incoming>, CloseCode> {
        Ok(self.read.pop_front())
    }

    fn admit(&mut self) {}

    fn discard(&mut self) {
        self.read.clear();
    }
}

pub(crate) struct Person {
    pipe: Rc<RefCell<Pipe>>,
    next_id: u64,
    heard: VecDeque<wire::ServerFrame>,
    /// Heartbeats that came.
    pub(crate) pings: usize,
    closed: Option<u16>,
}

impl Person {
    /// Connects and signs in as the user with this identifier.
    pub(crate) async fn sign_in(worker: &Rc<Worker>, user: u64) -> Self {
        Self::sign_in_with(worker, user.to_string()).await
    }

    /// Connects and signs in with a token.
    pub(crate) async fn sign_in_with(worker: &Rc<Worker>, token: String) -> Self {
        let mut person = Self::connect(worker);
        person.ok(Request::Auth(wire::Auth { token, cursors: Vec::new() })).await;
        person
    }

    /// Connects.
    pub(crate) fn connect(worker: &Rc<Worker>) -> Self {
        let pipe = Rc::new(RefCell::new(Pipe::default()));
        let inlet = MemoryInlet { pipe: pipe.clone(), read: VecDeque::new() };
        Session::start(worker.clone(), Format::Protobuf, MemoryWire(pipe.clone()), inlet, None);
        Self { pipe, next_id: 1, heard: VecDeque::new(), pings: 0, closed: None }
    }

    pub(crate) async fn ok(&mut self, request: Request) -> ok::Result {
        match self.answer(request).await {
            Body::Ok(wire::Ok { result: Some(result) }) => result,
            other => panic!("not ok: {other:?}"),
        }
    }

    pub(crate) async fn answer(&mut self, request: Request) -> Body {
        let id = self.request(request);
        self.answer_to(id).await
    }

    /// The answer to the request with this number.
    pub(crate) async fn answer_to(&mut self, id: u64) -> Body {
        self.wait_for(|frame| frame.id == Some(id)).await
    }

    /// Sends a request and returns its number.
    pub(crate) fn request(&mut self, request: Request) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let mut frame = BytesMut::new();
        let request = wire::ClientFrame { id, request: Some(request) };
        encode_client_frame(&request, Format::Protobuf, &mut frame);
        self.change(|pipe| pipe.to_server.push_back(Incoming::Binary(frame.freeze())));
        id
    }

    /// The next event of any room.
    pub(crate) async fn event(&mut self) -> wire::Event {
        match self.wait_for(|frame| matches!(frame.body, Some(Body::Event(_)))).await {
            Body::Event(event) => event,
            other => panic!("not an event: {other:?}"),
        }
    }

    /// The next word that a room's stream broke off.
    pub(crate) async fn reset(&mut self) -> wire::ResetSignal {
        match self.wait_for(|frame| matches!(frame.body, Some(Body::Reset(_)))).await {
            Body::Reset(reset) => reset,
            other => panic!("not a reset: {other:?}"),
        }
    }

    /// Whether it was told, and did not wait for it, that a stream broke off.
    pub(crate) fn was_reset(&mut self) -> bool {
        self.read();
        self.heard.iter().any(|frame| matches!(frame.body, Some(Body::Reset(_))))
    }

    /// The next person who types.
    pub(crate) async fn typing(&mut self) -> wire::TypingSignal {
        match self.wait_for(|frame| matches!(frame.body, Some(Body::Typing(_)))).await {
            Body::Typing(typing) => typing,
            other => panic!("nobody types: {other:?}"),
        }
    }

    /// The next word that the list of rooms changed.
    pub(crate) async fn membership(&mut self) -> wire::MembershipSignal {
        match self.wait_for(|frame| matches!(frame.body, Some(Body::Membership(_)))).await {
            Body::Membership(signal) => signal,
            other => panic!("the list did not change: {other:?}"),
        }
    }

    /// Who came and who left, since this was last asked.
    pub(crate) fn presence_heard(&mut self) -> Vec<(u64, bool)> {
        self.read();
        let heard = std::mem::take(&mut self.heard);
        let (presence, rest) = heard.into_iter().partition(|frame| matches!(frame.body, Some(Body::Presence(_))));
        self.heard = rest;
        let presence: VecDeque<wire::ServerFrame> = presence;
        let signal = |frame: wire::ServerFrame| match frame.body {
            Some(Body::Presence(signal)) => Some((signal.user, signal.online)),
            _ => None,
        };
        presence.into_iter().filter_map(signal).collect()
    }

    /// Hears who came and left until now, and forgets it.
    pub(crate) async fn forget_presence(&mut self) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.presence_heard();
    }

    /// Whether neither an event nor that somebody types came.
    pub(crate) async fn heard_nothing(&mut self) -> bool {
        self.ok(Request::Ping(wire::Ping {})).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.read();
        !self.heard.iter().any(|frame| matches!(frame.body, Some(Body::Event(_) | Body::Typing(_))))
    }

    /// Answers a heartbeat.
    pub(crate) fn pong(&self) {
        self.change(|pipe| pipe.to_server.push_back(Incoming::Pong));
    }

    /// The code of the close frame, if one has come.
    pub(crate) fn closed(&mut self) -> Option<u16> {
        self.read();
        self.closed
    }

    /// Makes a public room and subscribes to it.
    pub(crate) async fn make_room(&mut self) -> u64 {
        let create = wire::RoomCreate { name: "tea".to_owned(), key: "tea".to_owned(), ..wire::RoomCreate::default() };
        let ok::Result::RoomCreate(made) = self.ok(Request::RoomCreate(create)).await else { panic!("another answer") };
        let room = made.room.unwrap().id;
        self.subscribe(room).await;
        room
    }

    pub(crate) async fn subscribe(&mut self, room: u64) {
        self.ok(Request::Subscribe(wire::Subscribe { room, cursor: None })).await;
        // The answer comes before the room has attached the connection; a round trip through it is after.
        self.ok(Request::RoomGet(wire::RoomGet { room })).await;
    }

    pub(crate) async fn say(&mut self, room: u64, key: &str) -> wire::MessageSendOk {
        let send = wire::MessageSend { room, key: key.to_owned(), text: key.to_owned(), made_at: None };
        match self.ok(Request::MessageSend(send)).await {
            ok::Result::MessageSend(sent) => sent,
            other => panic!("another answer: {other:?}"),
        }
    }

    /// Reads no more: what is written waits.
    pub(crate) fn stop_reading(&mut self) {
        self.change(|pipe| pipe.clogged = true);
    }

    pub(crate) fn hang_up(&mut self) {
        self.change(|pipe| pipe.hung_up = true);
    }

    /// Does something at this end and wakes the other.
    fn change(&self, change: impl FnOnce(&mut Pipe)) {
        let mut pipe = self.pipe.borrow_mut();
        change(&mut pipe);
        let reader = pipe.reader.take();
        drop(pipe);
        reader.into_iter().for_each(Waker::wake);
    }

    async fn wait_for(&mut self, wanted: impl Fn(&wire::ServerFrame) -> bool) -> Body {
        for _ in 0..PATIENCE.as_millis() {
            self.read();
            if let Some(index) = self.heard.iter().position(&wanted) {
                return self.heard.remove(index).unwrap().body.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("nothing came; heard {:?}", self.heard)
    }

    fn read(&mut self) {
        let bytes = std::mem::take(&mut self.pipe.borrow_mut().to_client);
        let mut rest = &bytes[..];
        while let [opcode, length, tail @ ..] = rest {
            let (length, tail) = match (length, tail) {
                (126, [high, low, tail @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), tail),
                (length, tail) => (usize::from(*length), tail),
            };
            let (payload, tail) = tail.split_at(length);
            match (opcode & 0x0f, payload) {
                (2, _) => self.heard.push_back(decode_server_frame(payload, Format::Protobuf).unwrap()),
                (8, [high, low, ..]) => self.closed = Some(u16::from_be_bytes([*high, *low])),
                (9, _) => self.pings += 1,
                _ => {}
            }
            rest = tail;
        }
    }
}
