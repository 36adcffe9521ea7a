//! A client as docs/protocol.md asks for: it sends under keys and sends again what has no answer, comes back with its
//! cursors, and drops what a `reset` takes from it.

mod arrive;
mod visit;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use anyhow::bail;
use bobchat_loadtest::torture::Kind;
use bobchat_loadtest::torture::outbox::{Outbox, Refusal, Waits};
use bobchat_proto::ids::Position;
use bobchat_proto::wire::client_frame::Request;
use bobchat_proto::wire::server_frame::Body;
use bobchat_proto::wire::{self, event, ok};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use self::visit::{Asked, Stream, Visit};
use crate::random::Random;
use crate::schedule::{Act, Deed, PREPARED_AFTER};
use crate::world::{Wish, World};

/// How often it looks at what is due.
const TICK: Duration = Duration::from_millis(20);

/// How long it waits for an answer before it takes the connection for lost. Sooner than a node gives up on a command,
/// so that keys are used again while the first attempt is under way.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// How often it asks whether its connection still carries anything: one that lost a piece on the way never does again,
/// for the simulated network sends nothing twice.
const PING_EVERY: Duration = Duration::from_millis(700);

/// When it sends again. A run is short: nobody waits as long as a busy server may ask.
const WAITS: Waits = Waits { unasked: Duration::from_millis(50), most: Duration::from_millis(500) };

/// Seqs before its cursor that it reads again.
const LOOK_BACK: u64 = 5;

/// Where it stands in a room.
#[derive(Debug, Clone, Copy, Default)]
struct Membership {
    /// Whether it wants to be a member.
    wanted: bool,
    /// Whether it was told that it is one.
    told: Option<bool>,
}

/// One client.
pub struct Person {
    number: usize,
    world: Rc<World>,
    random: Random,
    acts: VecDeque<Act>,
    began: Instant,
    user: u64,
    token: String,
    node: usize,
    rooms: Vec<u64>,
    memberships: BTreeMap<u64, Membership>,
    cursors: BTreeMap<u64, Position>,
    outbox: Outbox,
}

impl Person {
    /// The client of this number, which has not signed up.
    #[must_use]
    pub fn new(number: usize, world: Rc<World>) -> Self {
        let mut acts: Vec<Act> = world.schedule.acts.iter().filter(|act| act.client == number).copied().collect();
        acts.sort_by_key(|act| act.at);
        let mut random = Random::new(world.schedule.seed, 200 + number as u64);
        let node = random.below(world.schedule.site.nodes());
        Self {
            number,
            random,
            acts: acts.into(),
            began: Instant::now(),
            user: 0,
            token: String::new(),
            node,
            rooms: Vec::new(),
            memberships: BTreeMap::new(),
            cursors: BTreeMap::new(),
            outbox: Outbox::new(WAITS),
            world,
        }
    }

    /// Signs up, does what is its to do, and goes when all is over.
    pub async fn live(mut self) {
        self.began = Instant::now();
        self.sign_up().await;
        self.find_rooms().await;
        while self.world.wish.get() != Wish::End {
            let outcome = self.visit().await;
            let (number, node) = (self.number, self.node);
            self.world.story.tell(|| format!("client {number} is gone from node {node}: {outcome:?}"));
            self.outbox.lose_answers();
            self.stands(false);
            sleep(self.random.millis(10, 150)).await;
            if outcome.is_err() || self.random.once_in(3) {
                self.node = self.random.below(self.world.schedule.site.nodes());
            }
        }
    }

    /// One connection, from its handshake to its end. `Ok`: it went by itself.
    async fn visit(&mut self) -> anyhow::Result<()> {
        let mut visit = self.sign_in().await?;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                heard = visit.connection.hear() => self.take(&mut visit, heard?).await?,
                _ = ticks.tick() => {
                    self.act(&mut visit).await?;
                    if visit.hangs_up || self.world.wish.get() == Wish::End {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn is_told(&self, room: u64) -> bool {
        self.memberships.get(&room).is_some_and(|membership| membership.told == Some(true))
    }

    fn cursor(&self, room: u64) -> wire::Cursor {
        let at = self.cursors.get(&room).copied().unwrap_or_default();
        wire::Cursor { room, epoch: at.epoch.0, seq: at.seq.0 }
    }

    async fn subscribe(&mut self, visit: &mut Visit, room: u64) -> anyhow::Result<()> {
        let cursor = Some(self.cursors.get(&room).copied().unwrap_or_default().into());
        visit.streams.insert(room, Stream { is_wanted: true, has_ended: false });
        visit.ask(Asked::Subscribe, Request::Subscribe(wire::Subscribe { room, cursor })).await
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
        self.world.witness.borrow_mut().subscribed(self.number, room, cursor);
        Ok(())
    }

    /// Drops what it has of a room, and reads the newest page instead.
    async fn begin_anew(&mut self, visit: &mut Visit, room: u64, head: Position) -> anyhow::Result<()> {
        let cursor = self.cursors.insert(room, head).unwrap_or_default();
        self.world.witness.borrow_mut().reset(self.number, room, cursor, head);
        let request = Request::MessageHistory(wire::MessageHistory { room, ..Default::default() });
        visit.ask(Asked::Newest { known: None }, request).await
    }

    async fn take(&mut self, visit: &mut Visit, frame: wire::ServerFrame) -> anyhow::Result<()> {
        match (frame.id, frame.body) {
            (_, Some(Body::Event(event))) => self.event(visit, &event),
            (_, Some(Body::Reset(reset))) => {
                let head = position(reset.head.as_ref());
                self.begin_anew(visit, reset.room, head).await?;
            }
            (Some(id), Some(Body::Ok(answer))) => {
                if let Some((asked, _)) = visit.asked.remove(&id) {
                    self.answered(visit, asked, answer.result).await?;
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
        Ok(())
    }

    fn event(&mut self, visit: &mut Visit, event: &wire::Event) {
        let (number, here) = (self.number, event.position());
        self.world.story.tell(|| format!("client {number} hears {} of room {}", place(here), event.room));
        self.world.witness.borrow_mut().live(number, event);
        let cursor = self.cursors.entry(event.room).or_default();
        *cursor = (*cursor).max(here);
        let is_out = self.memberships.get(&event.room).is_some_and(|membership| membership.told == Some(false));
        let Some(stream) = visit.streams.get_mut(&event.room) else { return };
        // Before it was told that it is out, an older leaving may come, which was made good since.
        if stream.has_ended && !stream.is_wanted && is_out {
            let what = format!("client {number} left room {} and heard {} after that", event.room, place(here));
            self.world.note("I10 removal", what);
        }
        if matches!(&event.body, Some(event::Body::Left(left)) if left.user == self.user) {
            stream.has_ended = true;
            // A leaving that was never answered may come about when it is not wanted any more.
            if let Some(membership) = self.memberships.get_mut(&event.room).filter(|membership| membership.wanted) {
                membership.told = Some(false);
            }
        }
    }

    async fn answered(&mut self, visit: &mut Visit, asked: Asked, result: Option<ok::Result>) -> anyhow::Result<()> {
        match (asked, result) {
            (Asked::Subscribe, Some(ok::Result::Subscribe(subscribed))) => {
                return self.resumed(visit, &subscribed).await;
            }
            (Asked::Send { number }, Some(ok::Result::MessageSend(ack))) => {
                let key = self.key(number);
                self.world.story.tell(|| format!("{key} stands at {:?}", ack.position));
                self.world.witness.borrow_mut().acked(&key, &ack);
                self.outbox.remove(number);
                let known = visit.known.entry(ack.room).or_default();
                *known = (*known).max(position(ack.position.as_ref()));
            }
            (Asked::Newest { known }, Some(ok::Result::MessageHistory(page))) => {
                self.world.witness.borrow_mut().page(&page.messages, known);
            }
            (Asked::Events, Some(ok::Result::RoomEvents(page))) => {
                self.world.witness.borrow_mut().page(&page.events, None);
            }
            (Asked::Ping, Some(ok::Result::Ping(_))) => {}
            (Asked::Join { room }, Some(ok::Result::RoomJoin(_))) => {
                self.is_now(room, true);
                self.subscribe(visit, room).await?;
            }
            (Asked::Leave { room }, Some(ok::Result::RoomLeave(_))) => self.is_now(room, false),
            (asked, result) => {
                let number = self.number;
                let mut witness = self.world.witness.borrow_mut();
                witness.fault(Kind::Protocol, || format!("client {number}: {asked:?} was answered with {result:?}"));
            }
        }
        Ok(())
    }

    fn is_now(&mut self, room: u64, member: bool) {
        if let Some(membership) = self.memberships.get_mut(&room) {
            membership.told = Some(member);
        }
    }

    /// Takes an error for a fault unless it says that it passes.
    fn refused(&self, error: &wire::Error, what: &str) {
        let number = self.number;
        self.world.story.tell(|| format!("client {number}: {what}: {}: {}", error.code, error.message));
        if !error.temporary {
            let mut witness = self.world.witness.borrow_mut();
            witness.fault(Kind::Refused, || format!("client {number}: {what}: {}: {}", error.code, error.message));
        }
    }

    fn failed(&mut self, asked: Asked, error: &wire::Error) -> anyhow::Result<()> {
        let Asked::Send { number } = asked else {
            self.refused(error, &format!("{asked:?}"));
            // Without its stream a connection is of no use.
            return if matches!(asked, Asked::Subscribe) { bail!("subscribe: {}", error.code) } else { Ok(()) };
        };
        let key = self.key(number);
        self.world.story.tell(|| format!("{key} is refused: {}", error.code));
        match self.outbox.refused(number, error) {
            Refusal::Again { .. } => {}
            Refusal::NoMember { sure } => {
                let mut witness = self.world.witness.borrow_mut();
                if sure {
                    witness.abandoned(&key)
                } else {
                    witness.left_open(&key)
                }
                drop(witness);
                self.outbox.remove(number);
            }
            Refusal::Wrong => {
                self.refused(error, &key);
                self.outbox.remove(number);
            }
        }
        Ok(())
    }

    /// Does what is due.
    async fn act(&mut self, visit: &mut Visit) -> anyhow::Result<()> {
        if visit.asked.values().any(|(_, since)| since.elapsed() > PATIENCE) {
            bail!("no answer");
        }
        if visit.pinged.elapsed() > PING_EVERY {
            visit.pinged = Instant::now();
            visit.ask(Asked::Ping, Request::Ping(wire::Ping {})).await?;
        }
        self.keep_membership(visit).await?;
        match self.world.wish.get() {
            Wish::Prepare | Wish::End => {}
            Wish::Act => self.do_acts(visit).await?,
            Wish::Settle => self.memberships.values_mut().for_each(|membership| membership.wanted = true),
        }
        for (number, message) in self.outbox.take_due() {
            let (key, room) = (self.key(number), message.room);
            self.world.story.tell(|| format!("{key} goes to node {}", self.node));
            let request =
                Request::MessageSend(wire::MessageSend { room, key, text: message.text, made_at: message.made_at });
            visit.ask(Asked::Send { number }, request).await?;
        }
        let joined = self.memberships.values().all(|membership| membership.wanted && membership.told == Some(true));
        let subscribing = visit.is_asked(|asked| matches!(asked, Asked::Subscribe | Asked::Newest { .. }));
        self.stands(joined && !subscribing);
        Ok(())
    }

    /// Joins and leaves until it is told that it is what it wants to be.
    async fn keep_membership(&mut self, visit: &mut Visit) -> anyhow::Result<()> {
        for (room, membership) in self.memberships.clone() {
            let pending = visit
                .is_asked(|asked| matches!(asked, Asked::Join { room: at } | Asked::Leave { room: at } if *at == room));
            if pending || membership.told == Some(membership.wanted) {
                continue;
            }
            if membership.wanted {
                visit.ask(Asked::Join { room }, Request::RoomJoin(wire::RoomJoin { room })).await?;
            } else {
                if let Some(stream) = visit.streams.get_mut(&room) {
                    stream.is_wanted = false;
                }
                visit.ask(Asked::Leave { room }, Request::RoomLeave(wire::RoomLeave { room })).await?;
            }
        }
        Ok(())
    }

    async fn do_acts(&mut self, visit: &mut Visit) -> anyhow::Result<()> {
        let now = self.began.elapsed();
        while let Some(act) = self.acts.front().copied().filter(|act| PREPARED_AFTER + act.at <= now) {
            self.acts.pop_front();
            let Some(room) = self.rooms.get(act.room).copied() else { continue };
            self.world
                .story
                .tell(|| format!("client {} at node {}: {:?} in room {room}", self.number, self.node, act.what));
            match act.what {
                Deed::Say(messages) => (0..messages).for_each(|_| self.say(room)),
                Deed::SayAndHangUp => {
                    self.say(room);
                    visit.hangs_up = true;
                }
                Deed::HangUp => visit.hangs_up = true,
                Deed::Leave => self.wants(room, false),
                Deed::Join => self.wants(room, true),
                Deed::Read => self.read(visit, room).await?,
            }
        }
        Ok(())
    }

    fn wants(&mut self, room: u64, member: bool) {
        if let Some(membership) = self.memberships.get_mut(&room) {
            membership.wanted = member;
        }
    }

    fn say(&mut self, room: u64) {
        let text = format!("client {} says something of {}", self.number, self.random.below(1 << 20));
        let now = bobchat_actors::ports::Clock::now_micros(&*self.world.clock);
        let number = self.outbox.make(room, text.clone(), now);
        let key = self.key(number);
        self.world.witness.borrow_mut().sending(room, self.user, &key, &text);
    }

    async fn read(&mut self, visit: &mut Visit, room: u64) -> anyhow::Result<()> {
        if !self.is_told(room) {
            return Ok(());
        }
        let known = visit.known.get(&room).copied();
        let newest = Request::MessageHistory(wire::MessageHistory { room, ..Default::default() });
        visit.ask(Asked::Newest { known }, newest).await?;
        let after = self.cursors.get(&room).copied().unwrap_or_default().seq.0.saturating_sub(LOOK_BACK);
        visit.ask(Asked::Events, Request::RoomEvents(wire::RoomEvents { room, after, limit: None })).await
    }

    fn key(&self, number: u64) -> String {
        format!("c{}-{number}", self.number)
    }

    fn stands(&self, is_there: bool) {
        if let Some(standing) = self.world.standing.borrow_mut().get_mut(self.number) {
            standing.is_there = is_there;
            standing.pending = self.outbox.count();
            standing.cursors.clone_from(&self.cursors);
        }
    }
}

fn position(position: Option<&wire::Position>) -> Position {
    position.copied().map(Position::from).unwrap_or_default()
}

/// A position for people.
fn place(position: Position) -> String {
    format!("({}, {})", position.epoch.0, position.seq.0)
}
