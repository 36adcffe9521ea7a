//! A client that says and reads everything over REST: the same promises, asked for in another way.
//!
//! It asks one thing after the other on one connection. Now and then it loses the answer to a message: then it does not
//! know what became of it, and sends it again under its key, at this node or at another.

use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use bobchat_proto::ids::Position;
use bobchat_proto::wire;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::check::position;
use super::history::fact::Fact;
use super::http::{Answer, Connection, Question};
use super::outbox::Outgoing;
use super::person::{LOOK_BACK, Person, TICK, TICKS_BETWEEN_PAGES};
use super::plan::Habit;
use super::shared::Wish;
use super::socket::broken;

/// One message in so many loses the connection before its answer comes.
const ANSWER_LOST_ONCE_IN: usize = 16;

/// The status with which a server ends a connection on which nothing came for too long (RFC 9110 section 15.5.9).
const TOO_LATE: u16 = 408;

/// How long the server has for it then, in milliseconds: nothing, or enough to have done it.
const LOST_AFTER_MS: (usize, usize) = (0, 40);

/// One connection of a client over REST.
struct Visit {
    connection: Connection,
    /// The newest own message that this connection was told of, and its room.
    known: Option<(u64, Position)>,
    /// When a client that roams goes on.
    leave_at: Option<Instant>,
    /// Whether the server ends it.
    is_over: bool,
}

impl Person {
    /// One connection, from its beginning to its end.
    pub(super) async fn visit_over_rest(&mut self) -> anyhow::Result<()> {
        let (number, node) = self.choose_node()?;
        let connection = Connection::open(node).await?;
        let stay = if self.plan.habit == Habit::Roams { Some(self.random.millis(100, 900)) } else { None };
        let leave_at = stay.map(|stay| Instant::now() + stay);
        let mut visit = Visit { connection, known: None, leave_at, is_over: false };
        self.storms = self.shared.lock().storms;
        // A node that stands still takes connections too: it is there when it has answered.
        let room = *self.rooms.first().context("no rooms")?;
        self.read_newest(&mut visit, room, None).await?;
        self.tries = 0;
        self.tell(Fact::Connected { node: number });
        self.tell_all();
        let ended = self.stay_over_rest(&mut visit).await;
        self.tell(Fact::Gone { unanswered: self.outbox.on_the_way() });
        ended
    }

    async fn stay_over_rest(&mut self, visit: &mut Visit) -> anyhow::Result<()> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !visit.is_over {
            ticks.tick().await;
            let wish = *self.wish.borrow();
            let moves_on = wish != Wish::Settle && visit.leave_at.is_some_and(|time| time <= Instant::now());
            if wish == Wish::End || self.is_away(wish) || moves_on {
                break;
            }
            if self.is_cut_off() {
                bail!("its network is gone");
            }
            if self.is_talking() {
                self.make_messages();
            }
            if let Some((number, message)) = self.outbox.take_one_due() {
                self.post(visit, number, message).await?;
            }
            if self.random.once_in(TICKS_BETWEEN_PAGES) {
                self.read_a_page_over_rest(visit).await?;
            }
            self.tell_all();
        }
        Ok(())
    }

    /// Sends a message, and loses its answer now and then.
    async fn post(&mut self, visit: &mut Visit, number: u64, message: Outgoing) -> anyhow::Result<()> {
        let (key, room) = (self.key(number), message.room);
        if message.made_at.is_none() {
            self.tell(Fact::Again { key: key.clone() });
        }
        let path = format!("/rooms/{room}/messages");
        let (token, body) = (&self.account.token, Some(json!({ "text": message.text }).to_string()));
        visit.connection.ask(&Question { method: "POST", path, token, key: Some(&key), body }).await?;
        if self.is_talking() && self.random.once_in(ANSWER_LOST_ONCE_IN) {
            let (from, to) = LOST_AFTER_MS;
            sleep(self.random.millis(from, to)).await;
            bail!("the answer is lost");
        }
        let answer = self.hear(visit).await?;
        match read(&answer)? {
            Ok(ack) => {
                let ack: wire::MessageSendOk = ack;
                visit.known = Some((room, position(ack.position.as_ref())));
                self.tell(Fact::Ok { key, ack });
                self.outbox.remove(number);
            }
            Err(error) => self.send_refused(number, &error),
        }
        Ok(())
    }

    async fn read_a_page_over_rest(&mut self, visit: &mut Visit) -> anyhow::Result<()> {
        let Some(room) = self.some_room() else { return Ok(()) };
        let known = visit.known.filter(|(of, _)| *of == room).map(|(_, known)| known);
        if self.random.once_in(2) {
            return self.read_newest(visit, room, known).await;
        }
        let after = known.unwrap_or_default().seq.0.saturating_sub(LOOK_BACK);
        match self.get(visit, format!("/rooms/{room}/events?after={after}")).await? {
            Ok(wire::RoomEventsOk { events, .. }) => {
                self.shared.lock().tell(self.number, Fact::Page { known: None }, events);
            }
            Err(error) => self.refused(&error, "room_events"),
        }
        Ok(())
    }

    async fn read_newest(&self, visit: &mut Visit, room: u64, known: Option<Position>) -> anyhow::Result<()> {
        match self.get(visit, format!("/rooms/{room}/messages")).await? {
            Ok(wire::MessageHistoryOk { messages, .. }) => {
                self.shared.lock().tell(self.number, Fact::Page { known: known.map(Into::into) }, messages);
            }
            Err(error) => self.refused(&error, "message_history"),
        }
        Ok(())
    }

    async fn get<T: DeserializeOwned>(
        &self,
        visit: &mut Visit,
        path: String,
    ) -> anyhow::Result<Result<T, wire::Error>> {
        let token = &self.account.token;
        visit.connection.ask(&Question { method: "GET", path, token, key: None, body: None }).await?;
        read(&self.hear(visit).await?)
    }

    /// The answer to what was asked, unless the connection is lost before, or it takes too long.
    async fn hear(&self, visit: &mut Visit) -> anyhow::Result<Answer> {
        let asked = Instant::now();
        let mut ticks = interval(TICK);
        loop {
            tokio::select! {
                answer = visit.connection.answer() => {
                    let answer = answer?;
                    visit.is_over = answer.is_last;
                    return Ok(answer);
                }
                _ = ticks.tick() => {
                    if self.is_cut_off() {
                        bail!("its network is gone");
                    }
                    if asked.elapsed() > self.patience {
                        self.tell(Fact::Unanswered);
                        bail!("no answer for {:?}", self.patience);
                    }
                }
            }
        }
    }
}

/// What an answer says: what was asked for, or why not.
fn read<T: DeserializeOwned>(answer: &Answer) -> anyhow::Result<Result<T, wire::Error>> {
    let Answer { status, body, .. } = answer;
    // Not an answer to the question, which came too late for a connection that the server had given up.
    ensure!(*status != TOO_LATE, "the server gave the connection up");
    let read = if (200..300).contains(status) {
        serde_json::from_slice(body).map(Ok)
    } else {
        serde_json::from_slice(body).map(Err)
    };
    read.map_err(|error| broken(anyhow::anyhow!("status {status} with what cannot be read: {error}")))
}
