//! One of the canary's people: a connection at a time, from the cursor, with a growing pause between attempts.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bobchat_proto::error::ErrorCode;
use bobchat_proto::wire::{self, client_frame::Request, ok};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::connection::{Connection, Heard};
use super::watch::Watch;
use crate::client::{Credentials, Target, renew};
use crate::dialect::{Attempt, Incoming, Known};
use crate::time::wall_micros;
use crate::ws;

/// The first pause before a next attempt; each doubles it.
const PAUSE_FIRST: Duration = Duration::from_millis(100);

/// Beyond this it does not grow.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A node that has not answered a sign-in by then is tried again.
const SIGN_IN_MAX: Duration = Duration::from_secs(10);

/// Servers ping after 25 s of silence: one that says nothing for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How often it is looked what is late.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Of so many messages one is followed by a look at the newest page.
const READ_EVERY: u64 = 5;

/// A token that ends sooner than this is renewed.
const RENEW_BEFORE_MICROS: i64 = 120_000_000;

/// Requests that are no posts have odd ids. The first signs in, the second subscribes.
const SIGN_IN: u64 = 1;
const SUBSCRIBE: u64 = 3;

/// The server does not know the user any more: everything has to be made anew.
#[derive(Debug, thiserror::Error)]
#[error("a user of the canary is not let in any more: {0}")]
struct Stranger(String);

/// One of two.
pub(super) struct Person {
    watch: Rc<RefCell<Watch>>,
    who: usize,
    target: Target,
    credentials: RefCell<Credentials>,
    /// Counts attempts: each masks its frames differently.
    attempts: Cell<u64>,
}

/// What one connection knows.
struct Talk {
    connection: Connection,
    next_request: u64,
    /// Messages that were put off, and until when.
    put_off: BTreeMap<u64, Instant>,
    /// A page that was asked for: its request, when, and what has to stand there.
    reading: Option<(u64, Instant, u64)>,
    said: u64,
    heard_at: Instant,
    begun_anew: u64,
    pages_read: u64,
}

impl Person {
    pub(super) fn new(watch: Rc<RefCell<Watch>>, who: usize, target: Target, credentials: Credentials) -> Self {
        Self { watch, who, target, credentials: RefCell::new(credentials), attempts: Cell::new(0) }
    }

    /// Talks every so often, on as many connections as it takes, until nobody knows them any more: says why.
    pub(super) async fn live(self, every: Duration) -> anyhow::Error {
        let (mut gone_at, mut pause) = (Instant::now(), PAUSE_FIRST);
        loop {
            let outcome = match self.arrive(gone_at).await {
                Ok(mut talk) => {
                    pause = PAUSE_FIRST;
                    let ended = self.talk(&mut talk, every, None).await;
                    gone_at = Instant::now();
                    ended
                }
                Err(error) => Err(error),
            };
            self.watch.borrow_mut().left(self.who);
            if let Err(error) = outcome {
                if error.is::<ws::Violation>() {
                    self.watch.borrow_mut().broke_protocol(&error);
                }
                if error.is::<Stranger>() {
                    return error;
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Says `count` messages, and returns when everything has arrived and stands in history.
    ///
    /// # Errors
    /// When the node is not there, or the connection ends.
    pub(super) async fn talk_once(&self, count: u64) -> anyhow::Result<()> {
        let mut talk = self.arrive(Instant::now()).await?;
        self.talk(&mut talk, Duration::from_millis(100), Some(count)).await
    }

    /// What promises were broken in this person's room.
    pub(super) fn finish(&self) -> Vec<String> {
        // Both know the same; one is enough.
        if self.who == 0 { self.watch.borrow_mut().finish() } else { Vec::new() }
    }

    async fn arrive(&self, gone_at: Instant) -> anyhow::Result<Talk> {
        let attempt = self.attempts.get();
        self.attempts.set(attempt.wrapping_add(1));
        self.renew().await?;
        let signing_in = timeout(SIGN_IN_MAX, self.sign_in(attempt)).await;
        let talk = signing_in.context("the node does not answer a sign-in")??;
        self.watch.borrow_mut().came(self.who, gone_at.elapsed());
        Ok(talk)
    }

    async fn sign_in(&self, seed: u64) -> anyhow::Result<Talk> {
        let connection = Connection::open(&self.target, seed).await?;
        let now = Instant::now();
        let begun_anew = self.watch.borrow().begun_anew;
        let mut talk = Talk {
            connection,
            next_request: SUBSCRIBE + 2,
            put_off: BTreeMap::new(),
            reading: None,
            said: 0,
            heard_at: now,
            begun_anew,
            pages_read: 0,
        };
        let token = self.credentials.borrow().access_token.clone();
        let cursor = self.watch.borrow().cursor(self.who);
        let is_new = cursor.is_none();
        let auth = wire::Auth { token, cursors: cursor.into_iter().collect() };
        talk.connection.ask(SIGN_IN, Request::Auth(auth)).await?;
        self.wait_for(&mut talk, SIGN_IN).await?;
        if is_new {
            let subscribe = wire::Subscribe { room: self.watch.borrow().room, cursor: None };
            talk.connection.ask(SUBSCRIBE, Request::Subscribe(subscribe)).await?;
            self.wait_for(&mut talk, SUBSCRIBE).await?;
        }
        let unanswered: Vec<u64> = self.watch.borrow().unanswered(self.who).collect();
        for index in unanswered {
            self.post(&mut talk, index, Attempt::Repeated).await?;
        }
        Ok(talk)
    }

    /// Takes what comes until a request is answered.
    async fn wait_for(&self, talk: &mut Talk, request: u64) -> anyhow::Result<()> {
        loop {
            let heard = talk.connection.hear().await?;
            if self.take(talk, heard).await? == Some(request) {
                return Ok(());
            }
        }
    }

    /// Talks until the connection ends; with `count`, until so much was said, heard and read.
    async fn talk(&self, talk: &mut Talk, every: Duration, count: Option<u64>) -> anyhow::Result<()> {
        let (mut say, mut look) = (interval(every), interval(LOOK_EVERY));
        say.set_missed_tick_behavior(MissedTickBehavior::Delay);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                heard = talk.connection.hear() => { self.take(talk, heard?).await?; }
                _ = say.tick() => {
                    match count.filter(|count| talk.said >= *count) {
                        None => self.say(talk).await?,
                        // The other one may have to be heard still.
                        Some(count) if !self.watch.borrow().is_settled(2 * count) => {}
                        Some(_) if talk.pages_read > 0 => return Ok(()),
                        Some(_) => self.read(talk).await?,
                    }
                }
                _ = look.tick() => self.look(talk).await?,
            }
        }
    }

    async fn say(&self, talk: &mut Talk) -> anyhow::Result<()> {
        let begun = self.watch.borrow_mut().begin(self.who);
        if let Some(index) = begun {
            self.post(talk, index, Attempt::First).await?;
            talk.said += 1;
            if talk.said.is_multiple_of(READ_EVERY) {
                self.read(talk).await?;
            }
        }
        Ok(())
    }

    async fn post(&self, talk: &mut Talk, index: u64, attempt: Attempt) -> anyhow::Result<()> {
        let (room, messages, names) = {
            let watch = self.watch.borrow();
            if attempt == Attempt::Repeated {
                watch.repeated(self.who);
            }
            (watch.room, watch.messages.clone(), watch.room_names.clone())
        };
        talk.connection.post(room, index, attempt, Known { messages: &messages, names: &names }).await
    }

    /// Asks for the newest page, which has to hold the newest message that somebody has.
    async fn read(&self, talk: &mut Talk) -> anyhow::Result<()> {
        let (room, newest) = (self.watch.borrow().room, self.watch.borrow().newest());
        let (None, Some(newest)) = (&talk.reading, newest) else { return Ok(()) };
        let id = talk.next_request;
        talk.next_request += 2;
        talk.reading = Some((id, Instant::now(), newest));
        let page = wire::MessageHistory { room, ..wire::MessageHistory::default() };
        talk.connection.ask(id, Request::MessageHistory(page)).await
    }

    async fn look(&self, talk: &mut Talk) -> anyhow::Result<()> {
        let (is_stuck, begun_anew) = {
            let mut watch = self.watch.borrow_mut();
            watch.look()?;
            (watch.is_stuck(self.who), watch.begun_anew)
        };
        if is_stuck || talk.heard_at.elapsed() > SILENCE_MAX {
            bail!("the node does not answer");
        }
        if begun_anew != talk.begun_anew {
            bail!("something was lost: beginning anew");
        }
        let due: Vec<u64> =
            talk.put_off.iter().filter(|(_, at)| **at <= Instant::now()).map(|(index, _)| *index).collect();
        for index in due {
            talk.put_off.remove(&index);
            self.post(talk, index, Attempt::Repeated).await?;
        }
        if self.renew().await? {
            let token = self.credentials.borrow().access_token.clone();
            let id = talk.next_request;
            talk.next_request += 2;
            talk.connection.ask(id, Request::AuthRenew(wire::AuthRenew { token })).await?;
        }
        Ok(())
    }

    /// Gets the next token when this one ends soon; whether it did.
    async fn renew(&self) -> anyhow::Result<bool> {
        let credentials = self.credentials.borrow().clone();
        let ends_soon = credentials.expires_at.is_some_and(|at| at - wall_micros() < RENEW_BEFORE_MICROS);
        if !ends_soon || credentials.refresh_token.is_none() {
            return Ok(false);
        }
        let target = self.target.clone();
        let renewed = spawn_blocking(move || renew(&target, &[credentials])).await.context("renewing panicked")??;
        if let Some(renewed) = renewed.into_iter().next() {
            *self.credentials.borrow_mut() = renewed;
        }
        Ok(true)
    }

    /// Takes something in; gives the request that it answers, if it is no post.
    async fn take(&self, talk: &mut Talk, heard: Heard) -> anyhow::Result<Option<u64>> {
        talk.heard_at = Instant::now();
        let payload = match heard {
            Heard::Ping(payload) => {
                talk.connection.pong(&payload).await?;
                return Ok(None);
            }
            Heard::Payload(payload) => payload,
        };
        let mut watch = self.watch.borrow_mut();
        let decoded =
            self.target.dialect.decode(&payload, Known { messages: &watch.messages, names: &watch.room_names });
        match decoded {
            Ok(Incoming::Event(delivery)) => watch.delivered(self.who, &delivery, &payload),
            Ok(Incoming::Ack { index, placed }) => watch.acked(index, placed),
            Ok(Incoming::Refused { index, error }) if error.temporary => {
                let wait = Duration::from_millis(error.retry_after_ms.unwrap_or(250));
                talk.put_off.insert(index, Instant::now() + wait);
            }
            Ok(Incoming::Refused { index, error }) => watch.refused(index, &error),
            Ok(Incoming::Answer { request, result }) => {
                self.answered(talk, &mut watch, request, result)?;
                return Ok(Some(request));
            }
            Ok(Incoming::Failure(error)) => bail!("{}: {}", error.code, error.message),
            Ok(Incoming::Reset { room, head: _ }) => {
                let error = anyhow::anyhow!("the stream of room {room} broke off");
                watch.broke_protocol(&error);
                return Err(error);
            }
            Ok(Incoming::Named { .. } | Incoming::Asked(_) | Incoming::Signal) => {}
            Err(error) => {
                watch.broke_protocol(&error);
                return Err(error);
            }
        }
        Ok(None)
    }

    fn answered(
        &self,
        talk: &mut Talk,
        watch: &mut Watch,
        request: u64,
        result: Result<Box<ok::Result>, wire::Error>,
    ) -> anyhow::Result<()> {
        let result = match result {
            Ok(result) => *result,
            // A page that is put off is asked for again with a later message.
            Err(error) if error.temporary && talk.reading.is_some_and(|(id, ..)| id == request) => {
                talk.reading = None;
                return Ok(());
            }
            Err(error) if is_stranger(&error) => bail!(Stranger(error.message)),
            Err(error) => bail!("{}: {}", error.code, error.message),
        };
        match result {
            ok::Result::Auth(auth) => auth.subscribed.iter().for_each(|one| watch.subscribed(self.who, one)),
            ok::Result::Subscribe(subscribed) => watch.subscribed(self.who, &subscribed),
            ok::Result::MessageHistory(page) => {
                if let Some((_, asked_at, newest)) = talk.reading.take() {
                    let is_found = page.messages.iter().any(|message| message.seq == newest);
                    watch.read(self.who, is_found, asked_at.elapsed());
                    talk.pages_read += u64::from(is_found);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn is_stranger(error: &wire::Error) -> bool {
    use ErrorCode::{Forbidden, NotAMember, NotFound, TokenExpired, Unauthenticated};
    let code = ErrorCode::parse(&error.code);
    matches!(code, Some(Unauthenticated | TokenExpired | Forbidden | NotAMember | NotFound))
}
