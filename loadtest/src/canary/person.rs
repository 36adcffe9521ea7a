//! One of the canary's people: a connection at a time, from the cursor, with a growing pause between attempts.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bobchat_proto::wire::{self, client_frame::Request};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::connection::{Closed, Connection, Heard};
use super::exchange::{Exchange, SIGN_IN, SUBSCRIBE, Stranger};
use super::set_up::is_stranger_to;
use super::watch::Watch;
use crate::client::{Credentials, Pauses, Target, renew, sent_away};
use crate::dialect::{Attempt, Known};
use crate::time::wall_micros;
use crate::ws;

/// Between attempts to connect.
const PAUSES: Pauses = Pauses { first: Duration::from_millis(100), max: Duration::from_secs(5) };

/// A node that has not answered a sign-in by then is tried again.
const SIGN_IN_MAX: Duration = Duration::from_secs(10);

/// Servers ping after 25 s of silence: one that says nothing for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How often it is looked what is late.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Of so many messages one is followed by a look at the newest page.
const READ_EVERY: u64 = 5;

/// A token that ends sooner than this is renewed.
const RENEW_BEFORE: Duration = Duration::from_secs(120);

/// Tokens are not renewed more often, however short they are good for, and however often that fails.
const RENEW_PAUSE: Duration = Duration::from_secs(10);

/// One of two.
pub(super) struct Person {
    watch: Rc<RefCell<Watch>>,
    who: usize,
    /// Among all people of the canary: they do not all come back at the same moment.
    number: usize,
    target: Target,
    credentials: RefCell<Credentials>,
    /// Counts attempts: each masks its frames differently.
    attempts: Cell<usize>,
}

/// One connection, and what was said over it.
struct Talk {
    connection: Connection,
    exchange: Exchange,
    said: u64,
    heard_at: Instant,
}

impl Person {
    pub(super) fn new(
        watch: Rc<RefCell<Watch>>,
        who: usize,
        number: usize,
        target: Target,
        credentials: Credentials,
    ) -> Self {
        Self { watch, who, number, target, credentials: RefCell::new(credentials), attempts: Cell::new(0) }
    }

    /// Talks every so often, on as many connections as it takes, until nobody knows them any more: says why.
    pub(super) async fn live(self, every: Duration) -> anyhow::Error {
        let (mut gone_at, mut failed) = (Instant::now(), 0);
        loop {
            let outcome = match self.arrive(gone_at).await {
                Ok(mut talk) => {
                    failed = 0;
                    let ended = self.talk(&mut talk, every, None).await;
                    gone_at = Instant::now();
                    ended
                }
                Err(error) => Err(error),
            };
            self.watch.borrow_mut().left(self.who);
            let mut pause = PAUSES.after(failed, self.number);
            failed = failed.saturating_add(1);
            if let Err(error) = outcome {
                if error.is::<ws::Violation>() {
                    self.watch.borrow_mut().broke_protocol(&error);
                }
                if error.is::<Stranger>() {
                    return error;
                }
                if error.downcast_ref::<Closed>().is_some_and(Closed::is_draining) {
                    pause = sent_away(self.number, self.attempts.get());
                }
            }
            tokio::time::sleep(pause).await;
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
        let signing_in = timeout(SIGN_IN_MAX, self.sign_in(attempt as u64)).await;
        let talk = signing_in.context("the node does not answer a sign-in")??;
        self.watch.borrow_mut().came(self.who, gone_at.elapsed());
        Ok(talk)
    }

    async fn sign_in(&self, seed: u64) -> anyhow::Result<Talk> {
        let connection = Connection::open(&self.target, seed).await?;
        let exchange = Exchange::new(self.who, self.target.dialect, &self.watch.borrow());
        let mut talk = Talk { connection, exchange, said: 0, heard_at: Instant::now() };
        let token = self.credentials.borrow().access_token.clone();
        let cursors = self.cursor().into_iter().collect();
        talk.connection.ask(SIGN_IN, Request::Auth(wire::Auth { token, cursors })).await?;
        self.wait_for(&mut talk, SIGN_IN).await?;
        if self.cursor().is_none() {
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

    fn cursor(&self) -> Option<wire::Cursor> {
        self.watch.borrow().cursor(self.who)
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
        let mut renewing = Box::pin(self.next_token());
        loop {
            tokio::select! {
                heard = talk.connection.hear() => { self.take(talk, heard?).await?; }
                _ = say.tick() => {
                    match count.filter(|count| talk.said >= *count) {
                        None => self.say(talk).await?,
                        // The other one may have to be heard still.
                        Some(count) if !self.watch.borrow().is_settled(2 * count) => {}
                        Some(_) if talk.exchange.pages_read > 0 => return Ok(()),
                        Some(_) => self.read(talk).await?,
                    }
                }
                _ = look.tick() => self.look(talk).await?,
                renewed = &mut renewing => {
                    renewed?;
                    let token = self.credentials.borrow().access_token.clone();
                    let id = talk.exchange.next_request();
                    talk.connection.ask(id, Request::AuthRenew(wire::AuthRenew { token })).await?;
                    renewing.set(self.next_token());
                }
            }
        }
    }

    async fn say(&self, talk: &mut Talk) -> anyhow::Result<()> {
        let begun = self.watch.borrow_mut().begin(self.who)?;
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

    /// Asks for the newest page.
    async fn read(&self, talk: &mut Talk) -> anyhow::Result<()> {
        let (room, request) = {
            let watch = self.watch.borrow();
            (watch.room, talk.exchange.read(&watch))
        };
        let Some(request) = request else { return Ok(()) };
        let page = wire::MessageHistory { room, ..wire::MessageHistory::default() };
        talk.connection.ask(request, Request::MessageHistory(page)).await
    }

    async fn look(&self, talk: &mut Talk) -> anyhow::Result<()> {
        let is_stuck = {
            let mut watch = self.watch.borrow_mut();
            watch.look()?;
            talk.exchange.belongs_to(&watch)?;
            watch.is_stuck(self.who)
        };
        if is_stuck || talk.heard_at.elapsed() > SILENCE_MAX {
            bail!("the node does not answer");
        }
        for index in talk.exchange.due() {
            self.post(talk, index, Attempt::Repeated).await?;
        }
        Ok(())
    }

    /// Returns with the next token, when this one ends soon.
    ///
    /// # Errors
    /// As [`Self::renew`].
    async fn next_token(&self) -> anyhow::Result<()> {
        loop {
            let left = lasts(&self.credentials.borrow());
            tokio::time::sleep(left.saturating_sub(RENEW_BEFORE).max(RENEW_PAUSE)).await;
            if self.renew().await? {
                return Ok(());
            }
        }
    }

    /// Gets the next token where this one ends soon; whether it did. Where it cannot, one that is good still is kept.
    ///
    /// # Errors
    /// A [`Stranger`] when the server does not know the user any more; others when the token has ended, too.
    async fn renew(&self) -> anyhow::Result<bool> {
        let credentials = self.credentials.borrow().clone();
        if credentials.refresh_token.is_none() || lasts(&credentials) > RENEW_BEFORE {
            return Ok(false);
        }
        let target = self.target.clone();
        let renewing = spawn_blocking(move || renew(&target, &[credentials])).await.context("renewing panicked")?;
        match renewing {
            Ok(renewed) => {
                self.credentials.borrow_mut().clone_from(renewed.first().context("a user who was renewed")?);
                Ok(true)
            }
            Err(error) if is_stranger_to(&error) => bail!(Stranger(format!("{error:#}"))),
            Err(_) if !lasts(&self.credentials.borrow()).is_zero() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes something in; gives the request that it answers, if it is no post.
    async fn take(&self, talk: &mut Talk, heard: Heard) -> anyhow::Result<Option<u64>> {
        talk.heard_at = Instant::now();
        match heard {
            Heard::Ping(payload) => {
                talk.connection.pong(&payload).await?;
                Ok(None)
            }
            Heard::Payload(payload) => talk.exchange.take(&mut self.watch.borrow_mut(), &payload),
        }
    }
}

/// How long a token is good for; for ever where that is not known.
fn lasts(credentials: &Credentials) -> Duration {
    let micros = |at: i64| u64::try_from(at - wall_micros()).unwrap_or(0);
    credentials.expires_at.map_or(Duration::MAX, |at| Duration::from_micros(micros(at)))
}
