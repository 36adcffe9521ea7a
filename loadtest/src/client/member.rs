//! One member: a connection, what it waits for, and what it has received.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use anyhow::Context as _;
use bobchat_proto::wire::{self, client_frame::Request};
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;

use super::advice;
use super::shared::Shared;
use crate::check::{Checker, Kind, Receiver, RoomSlot};
use crate::dialect::{Dialect, ENTER_REQUEST, Incoming, Unit};
use crate::time::Nanos;
use crate::ws::{self, Masker, Opcode};

/// What came of a request.
type Answer = Result<Box<wire::ok::Result>, wire::Error>;

/// One connection of one user, in at most one room.
pub(crate) struct Member {
    pub(super) shared: Rc<Shared>,
    write: OwnedWriteHalf,
    masker: RefCell<Masker>,
    reader: RefCell<ws::Reader>,
    /// What the socket did not take yet; a task drains it while it is not empty.
    backlog: RefCell<BytesMut>,
    waiting: RefCell<HashMap<u64, oneshot::Sender<Answer>>>,
    /// Odd: even ids are posts.
    next_request: Cell<u64>,
    receiver: RefCell<Option<Receiver>>,
    /// Posts without an ack.
    outstanding: Cell<u64>,
}

impl Member {
    /// Takes an open connection; `carry` is what was already read of it. The task that is given reads
    /// until the connection ends.
    pub(super) fn start(
        shared: Rc<Shared>,
        stream: TcpStream,
        carry: BytesMut,
        seed: u64,
    ) -> (Rc<Self>, tokio::task::JoinHandle<()>) {
        let (read, write) = stream.into_split();
        let member = Rc::new(Self {
            shared,
            write,
            masker: RefCell::new(Masker::new(seed)),
            reader: RefCell::default(),
            backlog: RefCell::default(),
            waiting: RefCell::default(),
            next_request: Cell::new(ENTER_REQUEST),
            receiver: RefCell::default(),
            outstanding: Cell::new(0),
        });
        let task = tokio::task::spawn_local(Rc::clone(&member).read_until_end(read, carry));
        (member, task)
    }

    /// Posts without an ack.
    pub(crate) fn outstanding(&self) -> u64 {
        self.outstanding.get()
    }

    /// What this member has received, if it is in a room.
    pub(crate) fn receiver(&self) -> RefMut<'_, Option<Receiver>> {
        self.receiver.borrow_mut()
    }

    /// Posts `count` messages in one write: that is what makes a burst one.
    pub(crate) fn post(self: &Rc<Self>, room: u64, slot: RoomSlot, count: u64, intended: Nanos) {
        let shared = &self.shared;
        let mut out = shared.outgoing.borrow_mut();
        out.clear();
        for _ in 0..count {
            let index = shared.checker.borrow_mut().sending(slot, intended);
            let mask = self.masker.borrow_mut().next();
            shared.dialect.write_send(&mut out, mask, room, index, &shared.messages);
        }
        self.outstanding.set(self.outstanding.get() + count);
        self.push(&out);
    }

    /// Makes a request of Bobchat's protocol and waits for the answer.
    ///
    /// # Errors
    /// When it is refused, with what to do about it, or the connection ends.
    pub(crate) async fn request(self: &Rc<Self>, request: Request) -> anyhow::Result<wire::ok::Result> {
        let name = request.name();
        self.ask(request).await?.map_err(|error| anyhow::anyhow!(advice::of_error(name, &error)))
    }

    /// The same for who can do something about a refusal.
    ///
    /// # Errors
    /// When the connection ends.
    pub(crate) async fn ask(
        self: &Rc<Self>,
        request: Request,
    ) -> anyhow::Result<Result<wire::ok::Result, wire::Error>> {
        let id = self.next_request.get();
        self.next_request.set(id + 2);
        let mut out = BytesMut::new();
        let mask = self.masker.borrow_mut().next();
        self.shared.dialect.write_request(&mut out, mask, id, request);
        self.exchange(id, &out).await
    }

    /// Sends `bytes`, which ask for something under `id`, and waits for the answer.
    pub(super) async fn exchange(
        self: &Rc<Self>,
        id: u64,
        bytes: &[u8],
    ) -> anyhow::Result<Result<wire::ok::Result, wire::Error>> {
        let (sender, answer) = oneshot::channel();
        self.waiting.borrow_mut().insert(id, sender);
        self.push(bytes);
        let answer = answer.await.context("the connection ended before the answer came")?;
        Ok(answer.map(|result| *result))
    }

    /// Writes what the socket takes now and leaves the rest to a task.
    fn push(self: &Rc<Self>, bytes: &[u8]) {
        let mut backlog = self.backlog.borrow_mut();
        if !backlog.is_empty() {
            backlog.extend_from_slice(bytes);
            return;
        }
        // A connection that broke shows at the reading side.
        let written = self.write.try_write(bytes).unwrap_or(0);
        if let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            backlog.extend_from_slice(rest);
            tokio::task::spawn_local(Rc::clone(self).drain_backlog());
        }
    }

    async fn drain_backlog(self: Rc<Self>) {
        while self.write.writable().await.is_ok() {
            let mut backlog = self.backlog.borrow_mut();
            match self.write.try_write(&backlog) {
                Ok(written) => backlog.advance(written),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
            if backlog.is_empty() {
                return;
            }
        }
    }

    async fn read_until_end(self: Rc<Self>, mut read: OwnedReadHalf, mut carry: BytesMut) {
        let early = std::mem::take(&mut carry);
        let mut outcome = if early.is_empty() { Ok(true) } else { self.take_in(&early, &mut carry).map(|()| true) };
        while matches!(outcome, Ok(true)) {
            outcome = poll_fn(|cx| self.poll_read(cx, &mut read, &mut carry)).await;
        }
        if let Err(error) = outcome {
            if let Some(violation) = error.downcast_ref::<ws::Violation>() {
                self.close(violation.code);
            }
            self.shared.checker.borrow_mut().fault(Kind::Protocol, || format!("{error:#}"));
        } else if !self.shared.closing.get() {
            self.shared.checker.borrow_mut().fault(Kind::Closed, || "a connection ended".to_owned());
        }
        self.waiting.borrow_mut().clear();
        self.shared.acked.notify_one();
    }

    /// Reads once and takes in what came; `false` at the end of the connection.
    fn poll_read(
        self: &Rc<Self>,
        cx: &mut Context<'_>,
        read: &mut OwnedReadHalf,
        carry: &mut BytesMut,
    ) -> Poll<anyhow::Result<bool>> {
        let mut scratch = self.shared.scratch.borrow_mut();
        let mut chunk = ReadBuf::new(&mut scratch);
        if ready!(Pin::new(read).poll_read(cx, &mut chunk)).is_err() || chunk.filled().is_empty() {
            return Poll::Ready(Ok(false));
        }
        Poll::Ready(self.take_in(chunk.filled(), carry).map(|()| true))
    }

    /// Takes whole units where they were read; `carry` keeps what has not arrived whole.
    fn take_in(self: &Rc<Self>, chunk: &[u8], carry: &mut BytesMut) -> anyhow::Result<()> {
        if carry.is_empty() {
            let used = self.take_units(chunk)?;
            carry.extend_from_slice(chunk.get(used..).unwrap_or_default());
        } else {
            carry.extend_from_slice(chunk);
            let used = self.take_units(carry)?;
            carry.advance(used);
        }
        Ok(())
    }

    fn take_units(self: &Rc<Self>, bytes: &[u8]) -> anyhow::Result<usize> {
        let now = self.shared.clock.now();
        let mut checker = self.shared.checker.borrow_mut();
        let mut receiver = self.receiver.borrow_mut();
        let mut reader = self.reader.borrow_mut();
        let delivered = checker.counts().delivered;
        let mut used = 0;
        while let Some(rest) = bytes.get(used..)
            && let Some((unit, length)) = self.shared.dialect.split(&mut reader, rest)?
        {
            used += length;
            match unit {
                Unit::Payload(payload) => self.take_payload(&payload, &mut checker, &mut receiver, now)?,
                Unit::Ping(payload) => self.pong(payload),
                Unit::Close { code, reason } => {
                    self.close(code);
                    if !self.shared.closing.get() {
                        checker.fault(Kind::Closed, || advice::of_close(code, &reason));
                    }
                }
                Unit::Nothing => {}
            }
        }
        if checker.counts().delivered > delivered {
            checker.read();
        }
        Ok(used)
    }

    fn take_payload(
        &self,
        payload: &[u8],
        checker: &mut Checker,
        receiver: &mut Option<Receiver>,
        now: Nanos,
    ) -> anyhow::Result<()> {
        if let Some(receiver) = receiver
            && checker.take_same_bytes(receiver, payload, now)
        {
            return Ok(());
        }
        match self.shared.dialect.decode(payload, &self.shared.messages)? {
            Incoming::Event(delivery) => match receiver {
                Some(receiver) => checker.take(receiver, &delivery, payload, now),
                None => checker.fault(Kind::Protocol, || "an event before any subscription".to_owned()),
            },
            Incoming::Ack { index, placed } => {
                checker.ack(index, placed, now);
                self.settled();
            }
            Incoming::Refused { index, error } => {
                checker.refused(index, || advice::of_error("message_send", &error));
                self.settled();
            }
            Incoming::Answer { request, result } => {
                if let Ok(ok) = &result
                    && let wire::ok::Result::Subscribe(subscribed) = ok.as_ref()
                {
                    *receiver = Some(subscribe(checker, subscribed));
                }
                if let Some(waiting) = self.waiting.borrow_mut().remove(&request) {
                    // Who asked may have given up.
                    let _ = waiting.send(result);
                }
            }
            Incoming::Failure(error) => checker.fault(Kind::Refused, || advice::of_error("the connection", &error)),
            Incoming::Reset { room } => checker.fault(Kind::Reset, || format!("the stream of room {room} broke off")),
            Incoming::Signal => {}
        }
        Ok(())
    }

    fn settled(&self) {
        self.outstanding.set(self.outstanding.get().saturating_sub(1));
        self.shared.acked.notify_one();
    }

    fn pong(self: &Rc<Self>, payload: &[u8]) {
        self.control(Opcode::Pong, payload);
    }

    /// Says or answers that the connection ends.
    fn close(self: &Rc<Self>, code: u16) {
        let code = code.to_be_bytes();
        self.control(Opcode::Close, if code == ws::NO_CODE.to_be_bytes() { &[] } else { &code });
    }

    fn control(self: &Rc<Self>, opcode: Opcode, payload: &[u8]) {
        if self.shared.dialect != Dialect::Floor {
            let mut out = BytesMut::new();
            ws::write_masked(&mut out, opcode, self.masker.borrow_mut().next(), payload);
            self.push(&out);
        }
    }
}

/// Set where the answer is read, not where it is waited for: events may follow in the same read.
fn subscribe(checker: &mut Checker, subscribed: &wire::SubscribeOk) -> Receiver {
    let slot = checker.room(subscribed.room);
    let head = subscribed.head.map_or(0, |head| head.seq);
    checker.subscribed(slot, head)
}
