//! One client: comes, talks, listens, goes, comes back elsewhere.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bobchat_proto::codec::Format;
use bobchat_proto::ids::Position;
use bobchat_proto::wire::{self, ClientFrame, client_frame::Request, ok, server_frame::Body};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::check::{Check, place, position};
use super::outbox::{Outbox, Refusal};
use super::plan::{Client, Habit};
use super::random::Random;
use super::rest::Account;
use super::shared::{Shared, Standing, Wish};
use super::socket::{Heard, Socket, is_broken_protocol};
use crate::check::Kind;

/// Messages of one client that are not acknowledged: more are not made.
const WINDOW: usize = 32;

/// How often a client looks at what is due.
const TICK: Duration = Duration::from_millis(20);

/// How many messages are made in one go, at most.
const BURST_MAX: usize = 4;

/// Ticks between two reads of history, on average.
const TICKS_BETWEEN_PAGES: usize = 25;

/// How far back a client reads again what it has.
const LOOK_BACK: u64 = 20;

/// One answer in so many that says "surely not added" makes a client give the message up: it must not appear.
const GIVES_UP_ONCE_IN: usize = 8;

/// A client.
pub(super) struct Person {
    pub(super) number: usize,
    pub(super) account: Account,
    pub(super) plan: Client,
    pub(super) nodes: Vec<SocketAddr>,
    pub(super) rooms: Vec<u64>,
    pub(super) rate: f64,
    pub(super) patience: Duration,
    pub(super) random: Random,
    pub(super) shared: Shared,
    pub(super) wish: watch::Receiver<Wish>,
    pub(super) outbox: Outbox,
    pub(super) cursors: HashMap<u64, Position>,
    /// Nodes tried since the last one that answered.
    pub(super) tries: usize,
    /// When the next message is made.
    pub(super) next_message: Instant,
}

/// What a request was for.
#[derive(Debug)]
enum Asked {
    Subscribe,
    Send {
        number: u64,
    },
    /// The newest page, which must reach what was known when it was asked.
    Newest {
        known: Option<Position>,
    },
    Events,
}

/// One connection of a client.
struct Visit {
    socket: Socket,
    asked: HashMap<u64, (Asked, Instant)>,
    next_id: u64,
    /// The newest own message of each room that this connection was told of.
    known: HashMap<u64, Position>,
    /// When a client that roams goes on.
    leave_at: Option<Instant>,
}

impl Visit {
    async fn ask(&mut self, asked: Asked, request: Request) -> anyhow::Result<()> {
        let id = self.next_id;
        self.next_id += 1;
        self.asked.insert(id, (asked, Instant::now()));
        self.socket.send(&ClientFrame { id, request: Some(request) }).await
    }
}

impl Person {
    /// Lives until the run ends.
    pub(super) async fn live(mut self) {
        loop {
            let wish = *self.wish.borrow_and_update();
            if wish == Wish::End {
                return;
            }
            if self.is_away(wish) {
                // Whoever drives the run tells all before it goes.
                let _ = self.wish.changed().await;
                continue;
            }
            if let Err(error) = self.visit().await
                && is_broken_protocol(&error)
            {
                let number = self.number;
                self.shared.lock().check.fault(Kind::Protocol, || format!("client {number}: {error:#}"));
            }
            self.outbox.lose_answers();
            self.tell(|standing| standing.connected = false);
            sleep(self.random.millis(10, 150)).await;
        }
    }

    fn is_away(&self, wish: Wish) -> bool {
        matches!(wish, Wish::Talk { stage } if self.plan.away.contains(&stage))
    }

    fn tell(&self, change: impl FnOnce(&mut Standing)) {
        if let Some(standing) = self.shared.lock().clients.get_mut(self.number) {
            change(standing);
        }
    }

    /// Tells where it is: after everything that changes it.
    fn tell_all(&self) {
        self.tell(|standing| {
            standing.connected = true;
            standing.pending = self.outbox.len();
            standing.cursors.clone_from(&self.cursors);
        });
    }

    /// Where to go: home, or the next one when home does not answer; anywhere for somebody who roams.
    fn choose_node(&mut self) -> anyhow::Result<SocketAddr> {
        let number = match self.plan.habit {
            Habit::Stays(home) => home + self.tries,
            Habit::Roams => self.random.below(self.nodes.len()),
        };
        self.tries += 1;
        let count = self.nodes.len().max(1);
        self.nodes.get(number % count).copied().context("no nodes")
    }

    /// One connection, from its beginning to its end.
    async fn visit(&mut self) -> anyhow::Result<()> {
        let node = self.choose_node()?;
        let format = if self.number.is_multiple_of(2) { Format::Json } else { Format::Protobuf };
        let mut visit = self.sign_in(node, format).await?;
        self.tries = 0;
        self.tell_all();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                heard = visit.socket.hear() => match heard? {
                    Heard::Frame(frame) => self.take(&mut visit, frame).await?,
                    Heard::Ping(payload) => visit.socket.pong(&payload).await?,
                    Heard::Closed(code) => bail!("closed with {code}"),
                },
                _ = ticks.tick() => {
                    if self.act(&mut visit).await? {
                        self.leave(visit).await;
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Goes: with a word, or as somebody whose network is gone.
    async fn leave(&mut self, visit: Visit) {
        if self.random.once_in(2) {
            visit.socket.close().await;
        }
    }

    /// Connects, signs in and resumes every room: some by the cursors of `auth`, the others one by one.
    async fn sign_in(&mut self, node: SocketAddr, format: Format) -> anyhow::Result<Visit> {
        let socket = Socket::open(node, format, self.number as u64).await?;
        let stay = if self.plan.habit == Habit::Roams { Some(self.random.millis(100, 900)) } else { None };
        let leave_at = stay.map(|stay| Instant::now() + stay);
        let mut visit = Visit { socket, asked: HashMap::new(), next_id: 2, known: HashMap::new(), leave_at };
        let at_once = if self.random.once_in(3) { 0 } else { self.rooms.len() };
        let rooms = self.rooms.clone();
        let (with_auth, later) = rooms.split_at(at_once);
        let cursors = with_auth.iter().map(|room| self.cursor(*room)).collect();
        let auth = Request::Auth(wire::Auth { token: self.account.token.clone(), cursors });
        visit.socket.send(&ClientFrame { id: 1, request: Some(auth) }).await?;
        let heard = timeout(self.patience, self.welcome(&mut visit)).await.context("no answer to auth")??;
        self.shared.lock().check.connected(self.number);
        for subscribed in &heard.subscribed {
            self.resumed(&mut visit, subscribed).await?;
        }
        for &room in later {
            let cursor = Some(self.cursors.get(&room).copied().unwrap_or_default().into());
            let request = Request::Subscribe(wire::Subscribe { room, cursor });
            visit.ask(Asked::Subscribe, request).await?;
        }
        Ok(visit)
    }

    fn cursor(&self, room: u64) -> wire::Cursor {
        let at = self.cursors.get(&room).copied().unwrap_or_default();
        wire::Cursor { room, epoch: at.epoch.0, seq: at.seq.0 }
    }

    async fn welcome(&self, visit: &mut Visit) -> anyhow::Result<wire::AuthOk> {
        loop {
            match visit.socket.hear().await? {
                Heard::Frame(frame) => match frame.body {
                    Some(Body::Ok(wire::Ok { result: Some(ok::Result::Auth(auth)) })) => return Ok(auth),
                    // Signals may come before the answer; anything else is an error or a fault.
                    Some(Body::Typing(_) | Body::Presence(_) | Body::Membership(_)) => {}
                    Some(Body::Error(error)) => {
                        self.refused(&error, "auth");
                        bail!("auth: {}", error.code);
                    }
                    other => bail!("instead of the answer to auth: {other:?}"),
                },
                Heard::Ping(payload) => visit.socket.pong(&payload).await?,
                Heard::Closed(code) => bail!("closed with {code}"),
            }
        }
    }

    /// Counts an error, and takes it for a fault unless it says that it passes.
    fn refused(&self, error: &wire::Error, what: &str) {
        let mut state = self.shared.lock();
        state.check.refused(&error.code);
        if !error.temporary {
            let number = self.number;
            state.check.fault(Kind::Refused, || format!("client {number}: {what}: {}: {}", error.code, error.message));
        }
    }

    /// A room's stream begins, or failed to; then the connection is given up and tried again.
    async fn resumed(&mut self, visit: &mut Visit, subscribed: &wire::SubscribeOk) -> anyhow::Result<()> {
        let room = subscribed.room;
        if let Some(error) = &subscribed.error {
            self.refused(error, "resume");
            bail!("resume: {}", error.code);
        }
        let head = position(subscribed.head.as_ref());
        if subscribed.reset.is_some() {
            return self.begin_anew(visit, room, head).await;
        }
        let cursor = self.cursors.get(&room).copied().unwrap_or_default();
        self.shared.lock().check.subscribed(self.number, room, cursor);
        Ok(())
    }

    /// Drops what it has of a room, and reads the newest page instead.
    async fn begin_anew(&mut self, visit: &mut Visit, room: u64, head: Position) -> anyhow::Result<()> {
        let cursor = self.cursors.insert(room, head).unwrap_or_default();
        self.shared.lock().check.reset(self.number, room, cursor, head);
        self.tell_all();
        let request = Request::MessageHistory(wire::MessageHistory { room, ..Default::default() });
        visit.ask(Asked::Newest { known: None }, request).await
    }

    async fn take(&mut self, visit: &mut Visit, frame: wire::ServerFrame) -> anyhow::Result<()> {
        match (frame.id, frame.body) {
            (_, Some(Body::Event(event))) => self.event(&event),
            (_, Some(Body::Reset(reset))) => {
                let head = position(reset.head.as_ref());
                self.begin_anew(visit, reset.room, head).await?;
            }
            (Some(id), Some(Body::Ok(answer))) => {
                if let Some((asked, _)) = visit.asked.remove(&id) {
                    self.answered(visit, asked, answer).await?;
                }
            }
            (Some(id), Some(Body::Error(error))) => {
                if let Some((asked, _)) = visit.asked.remove(&id) {
                    self.failed(asked, &error)?;
                }
            }
            (None, Some(Body::Error(error))) => self.refused(&error, "the connection"),
            _ => {}
        }
        self.tell_all();
        Ok(())
    }

    fn event(&mut self, event: &wire::Event) {
        self.shared.lock().check.live(self.number, event);
        let cursor = self.cursors.entry(event.room).or_default();
        *cursor = (*cursor).max(place(event));
    }

    async fn answered(&mut self, visit: &mut Visit, asked: Asked, answer: wire::Ok) -> anyhow::Result<()> {
        match (asked, answer.result) {
            (Asked::Subscribe, Some(ok::Result::Subscribe(subscribed))) => {
                return self.resumed(visit, &subscribed).await;
            }
            (Asked::Send { number }, Some(ok::Result::MessageSend(ack))) => {
                self.shared.lock().check.acked(&self.key(number), &ack);
                self.outbox.remove(number);
                let known = visit.known.entry(ack.room).or_default();
                *known = (*known).max(position(ack.position.as_ref()));
            }
            (Asked::Newest { known }, Some(ok::Result::MessageHistory(page))) => {
                self.shared.lock().check.page(self.number, &page.messages, known);
            }
            (Asked::Events, Some(ok::Result::RoomEvents(page))) => {
                self.shared.lock().check.page(self.number, &page.events, None);
            }
            (asked, result) => self.wrong_answer(&asked, result.as_ref()),
        }
        Ok(())
    }

    fn wrong_answer(&self, asked: &Asked, result: Option<&ok::Result>) {
        let number = self.number;
        let mut state = self.shared.lock();
        state.check.fault(Kind::Protocol, || format!("client {number}: {asked:?} was answered with {result:?}"));
    }

    fn failed(&mut self, asked: Asked, error: &wire::Error) -> anyhow::Result<()> {
        let Asked::Send { number } = asked else {
            self.refused(error, &format!("{asked:?}"));
            // Without its stream a connection is of no use.
            return if matches!(asked, Asked::Subscribe) { bail!("subscribe: {}", error.code) } else { Ok(()) };
        };
        match self.outbox.refused(number, error) {
            Refusal::Again { sure } => {
                self.shared.lock().check.refused(&error.code);
                if sure && self.is_talking() && self.random.once_in(GIVES_UP_ONCE_IN) {
                    self.shared.lock().check.abandoned(&self.key(number));
                    self.outbox.remove(number);
                }
            }
            Refusal::Wrong => {
                self.refused(error, "message_send");
                self.outbox.remove(number);
            }
        }
        Ok(())
    }

    fn is_talking(&self) -> bool {
        matches!(*self.wish.borrow(), Wish::Talk { .. })
    }

    /// Does what is due. `true`: it is time to go.
    async fn act(&mut self, visit: &mut Visit) -> anyhow::Result<bool> {
        let wish = *self.wish.borrow();
        if wish == Wish::End || self.is_away(wish) || visit.leave_at.is_some_and(|time| time <= Instant::now()) {
            return Ok(true);
        }
        if visit.asked.values().any(|(_, since)| since.elapsed() > self.patience) {
            self.shared.lock().check.tally.unanswered += 1;
            bail!("no answer for {:?}", self.patience);
        }
        if matches!(wish, Wish::Talk { .. }) {
            self.make_messages();
        }
        for (number, message) in self.outbox.take_due() {
            let (key, room) = (self.key(number), message.room);
            let request =
                Request::MessageSend(wire::MessageSend { room, key, text: message.text, made_at: message.made_at });
            visit.ask(Asked::Send { number }, request).await?;
        }
        if self.random.once_in(TICKS_BETWEEN_PAGES) {
            self.read_a_page(visit).await?;
        }
        self.tell_all();
        Ok(false)
    }

    fn key(&self, number: u64) -> String {
        format!("c{}-{number}", self.number)
    }

    fn make_messages(&mut self) {
        if self.next_message > Instant::now() || self.rate <= 0.0 {
            return;
        }
        let Some(&room) = self.rooms.get(self.random.below(self.rooms.len())) else { return };
        let burst = 1 + self.random.below(BURST_MAX);
        for _ in 0..burst.min(WINDOW.saturating_sub(self.outbox.len())) {
            let text = format!("client {} says something of {}", self.number, self.random.below(1 << 30));
            let number = self.outbox.make(room, text.clone());
            let check: &mut Check = &mut self.shared.lock().check;
            check.sending(room, self.account.user, &self.key(number), &text);
        }
        self.next_message = Instant::now() + Duration::from_secs_f64(burst as f64 / self.rate);
    }

    async fn read_a_page(&mut self, visit: &mut Visit) -> anyhow::Result<()> {
        let Some(&room) = self.rooms.get(self.random.below(self.rooms.len())) else { return Ok(()) };
        if self.random.once_in(2) {
            let known = visit.known.get(&room).copied();
            let request = Request::MessageHistory(wire::MessageHistory { room, ..Default::default() });
            return visit.ask(Asked::Newest { known }, request).await;
        }
        let after = self.cursors.get(&room).copied().unwrap_or_default().seq.0.saturating_sub(LOOK_BACK);
        visit.ask(Asked::Events, Request::RoomEvents(wire::RoomEvents { room, after, limit: None })).await
    }
}
