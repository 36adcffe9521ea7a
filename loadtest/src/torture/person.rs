//! One client: comes, talks, listens, goes, comes back elsewhere.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bobchat_proto::codec::Format;
use bobchat_proto::ids::Position;
use bobchat_proto::wire::{self, ClientFrame, client_frame::Request, event, ok, server_frame::Body};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::check::{place, position};
use super::door::Door;
use super::history::fact::Fact;
use super::outbox::{Outbox, Refusal};
use super::plan::{Client, Habit, Over};
use super::random::Random;
use super::rest::Account;
use super::shared::{Shared, Standing, Wish};
use super::socket::{Heard, Socket, is_broken_protocol};
use crate::check::Kind;
use crate::time::wall_micros;

/// Messages of one client that are not acknowledged: more are not made.
const WINDOW: usize = 32;

/// The same of a client that waits for each answer before it asks again: in the end all have to be answered.
const WINDOW_OVER_REST: usize = 6;

/// How often a client looks at what is due.
pub(super) const TICK: Duration = Duration::from_millis(20);

/// How many messages are made in one go, at most.
const BURST_MAX: usize = 4;

/// Ticks between two reads of history, on average.
pub(super) const TICKS_BETWEEN_PAGES: usize = 25;

/// How far back a client reads again what it has.
pub(super) const LOOK_BACK: u64 = 20;

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
    /// Where it stands in the rooms that it leaves and joins.
    pub(super) doors: HashMap<u64, Door>,
    /// How often it was told to lose its connection.
    pub(super) storms: u64,
}

/// What a request was for.
#[derive(Debug)]
pub(super) enum Asked {
    /// The stream from here on. Events of a stream that it moves may come before the answer, and come again after it.
    Subscribe {
        after: Position,
    },
    Send {
        number: u64,
    },
    /// The newest page, which must reach what was known when it was asked.
    Newest {
        known: Option<Position>,
    },
    Events,
    /// The newest page of a room that it has left, which must not show what came after.
    Peek {
        room: u64,
    },
    Leave {
        room: u64,
    },
    Join {
        room: u64,
    },
}

/// One connection of a client.
pub(super) struct Visit {
    socket: Socket,
    pub(super) asked: HashMap<u64, (Asked, Instant)>,
    next_id: u64,
    /// The newest own message of each room that this connection was told of.
    known: HashMap<u64, Position>,
    /// When a client that roams goes on.
    leave_at: Option<Instant>,
}

impl Visit {
    pub(super) async fn ask(&mut self, asked: Asked, request: Request) -> anyhow::Result<()> {
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
            let ended = match self.plan.over {
                Over::WebSocket => self.visit().await,
                Over::Rest => self.visit_over_rest().await,
            };
            if let Err(error) = ended
                && is_broken_protocol(&error)
            {
                self.fault(Kind::Protocol, format!("{error:#}"));
            }
            self.outbox.lose_answers();
            self.stands(|standing| standing.connected = false);
            sleep(self.random.millis(10, 150)).await;
        }
    }

    pub(super) fn is_away(&self, wish: Wish) -> bool {
        matches!(wish, Wish::Talk { stage } if self.plan.away.contains(&stage))
    }

    /// Notes what it did or heard.
    pub(super) fn tell(&self, fact: Fact) {
        self.shared.tell(self.number, fact);
    }

    /// Notes a broken promise.
    pub(super) fn fault(&self, kind: Kind, what: String) {
        self.tell(Fact::fault(kind, format!("client {}: {what}", self.number)));
    }

    fn stands(&self, change: impl FnOnce(&mut Standing)) {
        if let Some(standing) = self.shared.lock().clients.get_mut(self.number) {
            change(standing);
        }
    }

    /// Tells where it is: after everything that changes it.
    pub(super) fn tell_all(&self) {
        self.stands(|standing| {
            standing.connected = true;
            standing.pending = self.outbox.count() + self.rooms_outside();
            standing.cursors.clone_from(&self.cursors);
        });
    }

    /// Where to go: home, or the next one when home does not answer; anywhere for somebody who roams.
    pub(super) fn choose_node(&mut self) -> anyhow::Result<(usize, SocketAddr)> {
        let number = match self.plan.habit {
            Habit::Stays(home) => home + self.tries,
            Habit::Roams => self.random.below(self.nodes.len()),
        };
        self.tries += 1;
        let number = number % self.nodes.len().max(1);
        self.nodes.get(number).map(|node| (number, *node)).context("no nodes")
    }

    /// One connection, from its beginning to its end.
    async fn visit(&mut self) -> anyhow::Result<()> {
        let node = self.choose_node()?;
        let format = if self.number.is_multiple_of(2) { Format::Json } else { Format::Protobuf };
        let mut visit = self.sign_in(node, format).await?;
        self.tries = 0;
        self.storms = self.shared.lock().storms;
        self.tell_all();
        let ended = self.stay(&mut visit).await;
        self.tell(Fact::Gone { unanswered: self.outbox.on_the_way() });
        if ended? {
            self.leave(visit).await;
        }
        Ok(())
    }

    /// Listens and talks until the connection ends. `true`: it is time to go; with or without a word.
    async fn stay(&mut self, visit: &mut Visit) -> anyhow::Result<bool> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                heard = visit.socket.hear() => match heard? {
                    Heard::Frame(frame) => self.take(visit, frame).await?,
                    Heard::Ping(payload) => visit.socket.pong(&payload).await?,
                    Heard::Closed(code) => bail!("closed with {code}"),
                },
                _ = ticks.tick() => {
                    if self.act(visit).await? {
                        return Ok(true);
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
    async fn sign_in(&mut self, node: (usize, SocketAddr), format: Format) -> anyhow::Result<Visit> {
        let socket = Socket::open(node.1, format, self.number as u64).await?;
        let stay = if self.plan.habit == Habit::Roams { Some(self.random.millis(100, 900)) } else { None };
        let leave_at = stay.map(|stay| Instant::now() + stay);
        let mut visit = Visit { socket, asked: HashMap::new(), next_id: 2, known: HashMap::new(), leave_at };
        let rooms: Vec<u64> = self.rooms.iter().copied().filter(|room| self.is_inside(*room)).collect();
        let at_once = if self.random.once_in(3) { 0 } else { rooms.len() };
        let (with_auth, later) = rooms.split_at(at_once);
        let cursors = with_auth.iter().map(|room| self.cursor(*room)).collect();
        let auth = Request::Auth(wire::Auth { token: self.account.token.clone(), cursors });
        visit.socket.send(&ClientFrame { id: 1, request: Some(auth) }).await?;
        let heard = timeout(self.patience, self.welcome(&mut visit)).await.context("no answer to auth")??;
        self.tell(Fact::Connected { node: node.0 });
        for subscribed in &heard.subscribed {
            let after = self.cursors.get(&subscribed.room).copied().unwrap_or_default();
            self.resumed(&mut visit, subscribed, after).await?;
        }
        for room in later {
            self.subscribe(&mut visit, *room).await?;
        }
        Ok(visit)
    }

    pub(super) async fn subscribe(&mut self, visit: &mut Visit, room: u64) -> anyhow::Result<()> {
        let after = self.cursors.get(&room).copied().unwrap_or_default();
        let cursor = Some(after.into());
        visit.ask(Asked::Subscribe { after }, Request::Subscribe(wire::Subscribe { room, cursor })).await
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
    pub(super) fn refused(&self, error: &wire::Error, what: &str) {
        self.tell(Fact::Refused { code: error.code.clone() });
        if !error.temporary {
            self.fault(Kind::Refused, format!("{what}: {}: {}", error.code, error.message));
        }
    }

    /// A room's stream begins after what was asked for, or failed to; then the connection is given up and tried again.
    async fn resumed(
        &mut self,
        visit: &mut Visit,
        subscribed: &wire::SubscribeOk,
        after: Position,
    ) -> anyhow::Result<()> {
        let room = subscribed.room;
        if let Some(error) = &subscribed.error {
            self.refused(error, "resume");
            bail!("resume: {}", error.code);
        }
        let head = position(subscribed.head.as_ref());
        if subscribed.reset.is_some() {
            return self.begin_anew(visit, room, head).await;
        }
        self.tell(Fact::Subscribed { room, after: after.into() });
        Ok(())
    }

    /// Drops what it has of a room, and reads the newest page instead.
    async fn begin_anew(&mut self, visit: &mut Visit, room: u64, head: Position) -> anyhow::Result<()> {
        let cursor = self.cursors.insert(room, head).unwrap_or_default();
        self.tell(Fact::Reset { room, cursor: cursor.into(), head: head.into() });
        self.tell_all();
        let request = Request::MessageHistory(wire::MessageHistory { room, ..Default::default() });
        visit.ask(Asked::Newest { known: None }, request).await
    }

    async fn take(&mut self, visit: &mut Visit, frame: wire::ServerFrame) -> anyhow::Result<()> {
        match (frame.id, frame.body) {
            (_, Some(Body::Event(event))) => self.event(event),
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

    fn event(&mut self, event: wire::Event) {
        let cursor = self.cursors.entry(event.room).or_default();
        *cursor = (*cursor).max(place(&event));
        if matches!(&event.body, Some(event::Body::Left(left)) if left.user == self.account.user) {
            self.hears_its_leaving(event.room);
        }
        self.shared.lock().tell(self.number, Fact::Live, vec![event]);
    }

    async fn answered(&mut self, visit: &mut Visit, asked: Asked, answer: wire::Ok) -> anyhow::Result<()> {
        match (asked, answer.result) {
            (Asked::Subscribe { after }, Some(ok::Result::Subscribe(subscribed))) => {
                return self.resumed(visit, &subscribed, after).await;
            }
            (Asked::Send { number }, Some(ok::Result::MessageSend(ack))) => {
                self.tell(Fact::Ok { key: self.key(number), ack });
                self.outbox.remove(number);
                let known = visit.known.entry(ack.room).or_default();
                *known = (*known).max(position(ack.position.as_ref()));
            }
            (Asked::Newest { known }, Some(ok::Result::MessageHistory(page))) => {
                let known = known.map(Into::into);
                self.shared.lock().tell(self.number, Fact::Page { known }, page.messages);
            }
            (Asked::Events, Some(ok::Result::RoomEvents(page))) => {
                self.shared.lock().tell(self.number, Fact::Page { known: None }, page.events);
            }
            (Asked::Leave { room }, Some(ok::Result::RoomLeave(_))) => self.is_outside(room),
            (Asked::Join { room }, Some(ok::Result::RoomJoin(_))) => return self.is_back(visit, room).await,
            (Asked::Peek { room }, Some(ok::Result::MessageHistory(page))) => self.has_peeked(room, page.messages),
            (asked, result) => {
                self.fault(Kind::Protocol, format!("{asked:?} was answered with {result:?}"));
            }
        }
        Ok(())
    }

    fn failed(&mut self, asked: Asked, error: &wire::Error) -> anyhow::Result<()> {
        let Asked::Send { number } = asked else {
            self.refused(error, &format!("{asked:?}"));
            // Without its stream a connection is of no use.
            return if matches!(asked, Asked::Subscribe { .. }) { bail!("subscribe: {}", error.code) } else { Ok(()) };
        };
        self.send_refused(number, error);
        Ok(())
    }

    /// A message was refused: it is sent again, or given up.
    pub(super) fn send_refused(&mut self, number: u64, error: &wire::Error) {
        match self.outbox.refused(number, error) {
            Refusal::Again { sure } => {
                self.tell(Fact::Refused { code: error.code.clone() });
                if sure && self.is_talking() && self.random.once_in(GIVES_UP_ONCE_IN) {
                    self.tell(Fact::Fail { key: self.key(number) });
                    self.outbox.remove(number);
                }
            }
            Refusal::NoMember { sure } if self.has_door(number) => {
                self.tell(Fact::Refused { code: error.code.clone() });
                let key = self.key(number);
                self.tell(if sure { Fact::Fail { key } } else { Fact::Info { key } });
                self.outbox.remove(number);
            }
            Refusal::NoMember { .. } => {
                self.refused(error, "message_send");
                self.outbox.remove(number);
            }
            Refusal::Wrong => {
                self.refused(error, "message_send");
                self.outbox.remove(number);
            }
        }
    }

    pub(super) fn is_talking(&self) -> bool {
        matches!(*self.wish.borrow(), Wish::Talk { .. })
    }

    /// Whether it was told to lose its connection.
    pub(super) fn is_cut_off(&self) -> bool {
        self.shared.lock().storms != self.storms
    }

    /// Does what is due. `true`: it is time to go.
    async fn act(&mut self, visit: &mut Visit) -> anyhow::Result<bool> {
        let wish = *self.wish.borrow();
        // Who roams comes to rest with the others.
        let moves_on = wish != Wish::Settle && visit.leave_at.is_some_and(|time| time <= Instant::now());
        if wish == Wish::End || self.is_away(wish) || moves_on {
            return Ok(true);
        }
        if self.is_cut_off() {
            bail!("its network is gone");
        }
        if visit.asked.values().any(|(_, since)| since.elapsed() > self.patience) {
            self.tell(Fact::Unanswered);
            bail!("no answer for {:?}", self.patience);
        }
        if matches!(wish, Wish::Talk { .. }) {
            self.make_messages();
        }
        self.use_doors(visit).await?;
        for (number, message) in self.outbox.take_due() {
            let (key, room) = (self.key(number), message.room);
            if message.made_at.is_none() {
                self.tell(Fact::Again { key: key.clone() });
            }
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

    pub(super) fn key(&self, number: u64) -> String {
        format!("c{}-{number}", self.number)
    }

    pub(super) fn make_messages(&mut self) {
        if self.next_message > Instant::now() || self.rate <= 0.0 {
            return;
        }
        let Some(room) = self.some_room() else { return };
        let burst = 1 + self.random.below(BURST_MAX);
        let window = if self.plan.over == Over::Rest { WINDOW_OVER_REST } else { WINDOW };
        for _ in 0..burst.min(window.saturating_sub(self.outbox.count())) {
            self.say(room);
        }
        self.next_message = Instant::now() + Duration::from_secs_f64(burst as f64 / self.rate);
    }

    /// Makes a message, which goes with the next that are due.
    pub(super) fn say(&mut self, room: u64) {
        let text = format!("client {} says something of {}", self.number, self.random.below(1 << 30));
        let number = self.outbox.make(room, text.clone(), wall_micros());
        self.tell(Fact::Send { room, key: self.key(number), text });
    }

    /// One of the rooms that it is in.
    pub(super) fn some_room(&mut self) -> Option<u64> {
        let room = *self.rooms.get(self.random.below(self.rooms.len()))?;
        self.is_inside(room).then_some(room)
    }

    async fn read_a_page(&mut self, visit: &mut Visit) -> anyhow::Result<()> {
        let Some(room) = self.some_room() else { return Ok(()) };
        if self.random.once_in(2) {
            let known = visit.known.get(&room).copied();
            let request = Request::MessageHistory(wire::MessageHistory { room, ..Default::default() });
            return visit.ask(Asked::Newest { known }, request).await;
        }
        let after = self.cursors.get(&room).copied().unwrap_or_default().seq.0.saturating_sub(LOOK_BACK);
        visit.ask(Asked::Events, Request::RoomEvents(wire::RoomEvents { room, after, limit: None })).await
    }
}
