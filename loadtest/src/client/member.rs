//! One member: a connection at a time, what it waits for, and what it has received.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bobchat_proto::error::CloseCode;
use bobchat_proto::wire::{self, client_frame::Request};
use bytes::{Buf as _, BytesMut};
use tokio::io::ReadBuf;
use tokio::sync::{Notify, oneshot};

use super::advice;
use super::link::Link;
use super::seat::{Reading, Seat};
use super::shared::Shared;
use super::slow;
use crate::check::{Checker, Head, Kind, Receiver, RoomSlot};
use crate::dialect::{Attempt, Dialect, ENTER_REQUEST, Greeting, Incoming, Unit};
use crate::time::Nanos;
use crate::ws::{self, Masker, Opcode};

/// What came of a request.
type Answer = Result<Box<wire::ok::Result>, wire::Error>;

/// What was read of a connection and is not whole yet.
struct Partial {
    frame: BytesMut,
    message: ws::Reader,
}

/// One user, in at most one room, with one connection at a time.
pub(crate) struct Member {
    pub(crate) shared: Rc<Shared>,
    pub(super) seat: Seat,
    link: RefCell<Option<Rc<Link>>>,
    masker: RefCell<Masker>,
    waiting: RefCell<HashMap<u64, oneshot::Sender<Answer>>>,
    /// Odd: even ids are posts.
    next_request: Cell<u64>,
    receiver: RefCell<Option<Receiver>>,
    /// Posts without an answer, and their room: sent again under their key when the connection ended.
    unanswered: RefCell<BTreeMap<u64, u64>>,
    /// Told when it is signed in again.
    came: Notify,
    is_here: Cell<bool>,
    /// Whether somebody brings it back.
    pub(super) is_coming: Cell<bool>,
    /// Whether it was told to go to another server, which is no fault of somebody who comes back.
    is_sent_away: Cell<bool>,
}

impl Member {
    /// Somebody who is not connected yet.
    pub(super) fn new(shared: Rc<Shared>, seat: Seat) -> Rc<Self> {
        let masker = RefCell::new(Masker::new(seat.number as u64));
        Rc::new(Self {
            shared,
            seat,
            link: RefCell::default(),
            masker,
            waiting: RefCell::default(),
            next_request: Cell::new(ENTER_REQUEST),
            receiver: RefCell::default(),
            unanswered: RefCell::default(),
            came: Notify::new(),
            is_here: Cell::new(false),
            is_coming: Cell::new(false),
            is_sent_away: Cell::new(false),
        })
    }

    /// Takes an open connection in place of the one before; `carry` is what was already read of it. A task reads
    /// until it ends.
    pub(super) fn attach(self: &Rc<Self>, stream: ws::Stream, carry: BytesMut) {
        self.is_sent_away.set(false);
        let link = Rc::new(Link::new(stream));
        if let Some(before) = self.link.replace(Some(Rc::clone(&link))) {
            before.cut();
        }
        let reading = tokio::task::spawn_local(Rc::clone(self).read_until_end(carry, Rc::clone(&link)));
        link.read_by(reading.abort_handle());
    }

    /// Ends the connection without a word, as a lost network does.
    pub(crate) fn cut(&self) {
        if let Some(link) = self.link.take() {
            link.cut();
        }
        self.gone();
    }

    fn gone(&self) {
        if self.is_here.replace(false) {
            self.shared.connections.set(self.shared.connections.get().saturating_sub(1));
        }
        self.waiting.borrow_mut().clear();
    }

    /// It is signed in; what had no answer is sent again under its key.
    pub(super) fn here(self: &Rc<Self>) {
        if !self.is_here.replace(true) {
            self.shared.connections.set(self.shared.connections.get() + 1);
        }
        self.send_again();
        self.came.notify_waiters();
    }

    /// Signs in with this token from now on.
    pub(crate) fn renew(&self, token: String) {
        self.seat.token.replace(token);
    }

    /// Whether it reads slowly on purpose.
    pub(crate) fn is_slow(&self) -> bool {
        self.seat.reading != Reading::Fast
    }

    /// Whether it is signed in.
    pub(crate) fn is_here(&self) -> bool {
        self.is_here.get()
    }

    /// Returns when it is signed in.
    pub(crate) async fn wait_until_here(&self) {
        while !self.is_here.get() {
            self.came.notified().await;
        }
    }

    /// Posts without an ack.
    pub(crate) fn outstanding(&self) -> u64 {
        self.unanswered.borrow().len() as u64
    }

    /// What this member has received, if it is in a room.
    pub(crate) fn receiver(&self) -> RefMut<'_, Option<Receiver>> {
        self.receiver.borrow_mut()
    }

    /// Posts `count` messages in one write: that is what makes a burst one. Whoever is not connected posts when it
    /// is again.
    pub(crate) fn post(self: &Rc<Self>, room: u64, slot: RoomSlot, count: u64, intended: Nanos) {
        let shared = &self.shared;
        let mut out = shared.outgoing.borrow_mut();
        out.clear();
        let mut unanswered = self.unanswered.borrow_mut();
        for _ in 0..count {
            let index = shared.checker.borrow_mut().sending(slot, intended);
            unanswered.insert(index, room);
            let mask = self.masker.borrow_mut().next();
            shared.dialect.write_send(&mut out, mask, room, index, Attempt::First, shared.known());
        }
        // Before it is signed in, nothing but that may be said.
        if self.is_here.get() {
            self.push(&out);
        }
    }

    fn send_again(&self) {
        let unanswered = self.unanswered.borrow();
        if unanswered.is_empty() {
            return;
        }
        let shared = &self.shared;
        let mut out = BytesMut::new();
        for (index, room) in unanswered.iter() {
            let mask = self.masker.borrow_mut().next();
            shared.dialect.write_send(&mut out, mask, *room, *index, Attempt::Repeated, shared.known());
        }
        shared.checker.borrow_mut().counts_mut().resent += unanswered.len() as u64;
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

    /// Asks in text for what a newcomer needs, and waits for the answer.
    ///
    /// # Errors
    /// When it is refused, or the connection ends.
    pub(super) async fn greet(self: &Rc<Self>, greeting: &Greeting) -> anyhow::Result<()> {
        let mut out = BytesMut::new();
        ws::write_masked(&mut out, Opcode::Text, self.masker.borrow_mut().next(), greeting.text.as_bytes());
        let answer = self.exchange(greeting.request, &out).await?;
        answer.map(drop).map_err(|error| anyhow::anyhow!(advice::of_error("entering a room", &error)))
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
        let answer = answer.await.map_err(|_| anyhow::anyhow!("the connection ended before the answer came"))?;
        Ok(answer.map(|result| *result))
    }

    fn push(&self, bytes: &[u8]) {
        if let Some(link) = self.link.borrow().as_ref() {
            link.push(bytes);
        } else {
            // Whoever waits for an answer learns that there is no connection.
            self.waiting.borrow_mut().clear();
        }
    }

    async fn read_until_end(self: Rc<Self>, early: BytesMut, link: Rc<Link>) {
        let mut partial = Partial { frame: BytesMut::new(), message: ws::Reader::default() };
        let mut outcome = if early.is_empty() { Ok(true) } else { self.take_in(&early, &mut partial).map(|()| true) };
        while matches!(outcome, Ok(true)) {
            let at_once = slow::pause(self.seat.reading, &self.shared).await;
            outcome = poll_fn(|cx| self.poll_read(cx, &link, &mut partial, at_once)).await;
        }
        if let Err(error) = outcome {
            if let Some(violation) = error.downcast_ref::<ws::Violation>() {
                self.close(violation.code);
            }
            self.shared.checker.borrow_mut().fault(Kind::Protocol, || format!("{error:#}"));
        } else if !self.shared.closing.get() {
            let mut checker = self.shared.checker.borrow_mut();
            match self.seat.reading {
                // Too much waited for it: what the server said about that may be lost with the rest.
                Reading::Slow(_) => checker.counts_mut().slow_closed += 1,
                Reading::Fast if self.is_sent_away.get() => {}
                Reading::Fast => checker.fault(Kind::Closed, || "a connection ended".to_owned()),
            }
        }
        self.ended(&link);
    }

    /// A connection ended by itself.
    fn ended(self: &Rc<Self>, link: &Rc<Link>) {
        let is_current = self.link.borrow().as_ref().is_some_and(|current| Rc::ptr_eq(current, link));
        if is_current {
            self.link.take();
            // Whoever is not signed in yet is being brought there.
            let was_here = self.is_here.get();
            self.gone();
            let is_sent_away = self.is_sent_away.take();
            if was_here && self.shared.comes_back.get() && !self.shared.closing.get() {
                tokio::task::spawn_local(super::arrive::come_back(Rc::clone(self), is_sent_away));
            }
        }
        self.shared.acked.notify_one();
    }

    /// Reads once, `at_once` bytes at most, and takes in what came; `false` at the end of the connection.
    fn poll_read(
        self: &Rc<Self>,
        cx: &mut Context<'_>,
        link: &Link,
        partial: &mut Partial,
        at_once: usize,
    ) -> Poll<anyhow::Result<bool>> {
        let mut scratch = self.shared.scratch.borrow_mut();
        let length = scratch.len().min(at_once);
        let mut chunk = ReadBuf::new(scratch.get_mut(..length).unwrap_or_default());
        if ready!(link.poll_read(cx, &mut chunk)).is_err() || chunk.filled().is_empty() {
            return Poll::Ready(Ok(false));
        }
        Poll::Ready(self.take_in(chunk.filled(), partial).map(|()| true))
    }

    /// Takes whole units where they were read; `partial` keeps what has not arrived whole.
    fn take_in(self: &Rc<Self>, chunk: &[u8], partial: &mut Partial) -> anyhow::Result<()> {
        let Partial { frame, message } = partial;
        if frame.is_empty() {
            let used = self.take_units(chunk, message)?;
            frame.extend_from_slice(chunk.get(used..).unwrap_or_default());
        } else {
            frame.extend_from_slice(chunk);
            let used = self.take_units(frame, message)?;
            frame.advance(used);
        }
        Ok(())
    }

    fn take_units(self: &Rc<Self>, bytes: &[u8], reader: &mut ws::Reader) -> anyhow::Result<usize> {
        let now = self.shared.clock.now();
        let mut checker = self.shared.checker.borrow_mut();
        let mut receiver = self.receiver.borrow_mut();
        let delivered = checker.counts().delivered;
        let mut used = 0;
        while let Some(rest) = bytes.get(used..)
            && let Some((unit, length)) = self.shared.dialect.split(reader, rest)?
        {
            used += length;
            match unit {
                Unit::Payload(payload) if self.shared.dialect.speaks_in_lines() => {
                    for line in payload.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                        self.take_payload(line, &mut checker, &mut receiver, now)?;
                    }
                }
                Unit::Payload(payload) => self.take_payload(&payload, &mut checker, &mut receiver, now)?,
                Unit::Ping(payload) => self.pong(payload),
                Unit::Close { code, reason } => {
                    self.close(code);
                    self.closed(&mut checker, code, &reason);
                }
                Unit::Nothing => {}
            }
        }
        if checker.counts().delivered > delivered {
            checker.read();
        }
        Ok(used)
    }

    fn closed(&self, checker: &mut Checker, code: u16, reason: &str) {
        if self.shared.closing.get() {
            return;
        }
        match self.seat.reading {
            Reading::Slow(_) if slow::is_expected(code) => {
                checker.counts_mut().slow_told += u64::from(slow::is_told_so(code));
            }
            _ if code == CloseCode::Draining.code() && self.shared.comes_back.get() => self.is_sent_away.set(true),
            _ => checker.fault(Kind::Closed, || advice::of_close(code, reason)),
        }
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
        match self.shared.dialect.decode(payload, self.shared.known())? {
            Incoming::Event(delivery) => match receiver {
                Some(receiver) => checker.take(receiver, &delivery, payload, now),
                None => checker.fault(Kind::Protocol, || "an event before any subscription".to_owned()),
            },
            Incoming::Ack { index, placed } => {
                checker.ack(index, placed, now);
                self.answered(index);
            }
            Incoming::Refused { index, error } => {
                checker.refused(index, || advice::of_error("message_send", &error));
                self.answered(index);
            }
            Incoming::Named { room, name } => self.shared.names.give(room, name),
            Incoming::Answer { request, result } => {
                if let Ok(ok) = &result {
                    self.take_subscriptions(ok, checker, receiver);
                }
                if let Some(waiting) = self.waiting.borrow_mut().remove(&request) {
                    // Who asked may have given up.
                    let _ = waiting.send(result);
                }
            }
            Incoming::Failure(error) => checker.fault(Kind::Refused, || advice::of_error("the connection", &error)),
            Incoming::Reset { room, head } => match (receiver, self.seat.reading) {
                (Some(receiver), Reading::Slow(_)) => {
                    receiver.reset(head);
                    checker.counts_mut().slow_resets += 1;
                }
                _ => checker.fault(Kind::Reset, || format!("the stream of room {room} broke off")),
            },
            Incoming::Asked(answer) => self.say(Opcode::Text, answer.as_bytes()),
            Incoming::Signal => {}
        }
        Ok(())
    }

    /// Takes what came of subscriptions where the answer is read, not where it is waited for: events may follow in
    /// the same read.
    fn take_subscriptions(&self, ok: &wire::ok::Result, checker: &mut Checker, receiver: &mut Option<Receiver>) {
        match ok {
            wire::ok::Result::Subscribe(subscribed) => self.subscribed(subscribed, checker, receiver),
            wire::ok::Result::Auth(auth) => {
                for subscribed in &auth.subscribed {
                    self.subscribed(subscribed, checker, receiver);
                }
            }
            _ => {}
        }
    }

    fn subscribed(&self, subscribed: &wire::SubscribeOk, checker: &mut Checker, receiver: &mut Option<Receiver>) {
        if let Some(error) = &subscribed.error {
            return checker.fault(Kind::Refused, || advice::of_error("subscribe", error));
        }
        let head = subscribed.head.map_or(Head { epoch: 0, seq: 0 }, |head| Head { epoch: head.epoch, seq: head.seq });
        let is_slow = self.seat.reading != Reading::Fast;
        match receiver {
            None => {
                let slot = checker.room(subscribed.room);
                *receiver = Some(checker.subscribed(slot, head).slow(is_slow));
            }
            Some(receiver) if subscribed.reset.is_some() => {
                receiver.reset(head);
                match is_slow {
                    true => checker.counts_mut().slow_resets += 1,
                    false => checker.fault(Kind::Reset, || {
                        format!("room {} could not be continued on another connection", subscribed.room)
                    }),
                }
            }
            Some(_) => checker.counts_mut().resumes += 1,
        }
    }

    fn answered(&self, index: u64) {
        self.unanswered.borrow_mut().remove(&index);
        self.shared.acked.notify_one();
    }

    fn pong(&self, payload: &[u8]) {
        self.say(Opcode::Pong, payload);
    }

    /// Says or answers that the connection ends.
    fn close(&self, code: u16) {
        let code = code.to_be_bytes();
        self.say(Opcode::Close, if code == ws::NO_CODE.to_be_bytes() { &[] } else { &code });
    }

    /// Says something beside requests, where that is framed.
    fn say(&self, opcode: Opcode, payload: &[u8]) {
        if self.shared.dialect != Dialect::Floor {
            let mut out = BytesMut::new();
            ws::write_masked(&mut out, opcode, self.masker.borrow_mut().next(), payload);
            self.push(&out);
        }
    }
}
