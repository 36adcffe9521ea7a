use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, Handler, MessageResult};
use bobchat_proto::error::ErrorCode;
use bobchat_proto::ids::{Position, RoomId, Sequence, UserId};
use bobchat_proto::limits::{PRESENT_USERS_MAX, RESUME_EVENTS_MAX};
use bobchat_proto::wire::{self, ResetReason, server_frame::Body};
use foldhash::fast::RandomState;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::decide::{not_found, require_member, require_seen};
use super::messages::{Ask, Attach, Attached, Detach, Inquire, Inquired, Inspect, Inspected, TypingHint};
use super::subscribers::{Subscribers, reset_frames};
use super::{Answer, Command, Effect, Frames, Machine, RoomState};
use crate::bucket::{Bucket, Verdict};
use crate::hub::{HubLink, Job, RoomDied};
use crate::operations::{Acting, SYSTEM_USER};
use crate::ports::{Append, AppendError, Cursor, Outcome, Visible, judge_cursor};
use crate::worker::Worker;

/// Messages that may wait for a room while it loads; afterwards it takes them as they come.
const MAILBOX_MAX: usize = 1024;

/// Pause before a batch whose outcome is unknown is sent again, and before a room is loaded again.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Pause before a full hub is tried again: long enough that it has done something, short enough that a
/// person does not notice.
const HAND_OVER_AFTER: Duration = Duration::from_millis(5);

/// How often a room that cannot be loaded is tried before those who wait are told.
const LOAD_ATTEMPTS: u32 = 20;

/// Events read at once to fill a hole.
const FILL_EVENTS: usize = 1024;

/// Above this many people, presence is asked for and not told: telling is quadratic in them.
const PRESENCE_USERS_MAX: usize = 100;

/// How whoever asked is found again.
struct Ticket {
    reply: oneshot::Sender<Result<Answer, wire::Error>>,
    span: tracing::Span,
}

/// The actor of one room on this node.
///
/// It starts when somebody asks for the room and stops when nobody receives it any more. A panic ends it
/// for good; its thread's hub starts another, which takes over the subscribers and writes to them what they
/// have not seen (see [`Room::recover`]).
pub struct Room {
    id: RoomId,
    worker: Rc<Worker>,
    /// None until the room is loaded, and in a room that does not exist.
    machine: Option<Machine<Ticket>>,
    /// Set when the room could not be loaded.
    unavailable: bool,
    subscribers: Subscribers,
    send_buckets: HashMap<UserId, Bucket, RandomState>,
    flush_scheduled: bool,
    hand_over_scheduled: bool,
    idle_check_scheduled: bool,
    /// Whether this replaces an actor that died.
    replaces: bool,
    /// Set when the actor stops in good order.
    ended: bool,
    used_at: Instant,
}

impl Room {
    /// The room `id`, on `worker`'s thread; `replaces` says that an actor of it died.
    #[must_use]
    pub fn new(id: RoomId, worker: Rc<Worker>, replaces: bool) -> Self {
        Self {
            id,
            worker,
            machine: None,
            unavailable: false,
            subscribers: Subscribers::default(),
            send_buckets: HashMap::default(),
            flush_scheduled: false,
            hand_over_scheduled: false,
            idle_check_scheduled: false,
            replaces,
            ended: false,
            used_at: Instant::now(),
        }
    }

    /// Loads the room's state; nothing else is handled meanwhile.
    fn load(&mut self, context: &mut Context<Self>) {
        let core = self.worker.core.clone();
        let id = self.id;
        let patient = self.replaces;
        let loading = async move {
            let mut attempt = 0;
            loop {
                match load_state(&core, id).await {
                    Ok(state) => return Ok(state),
                    Err(error) if attempt >= LOAD_ATTEMPTS && !patient => return Err(error),
                    Err(error) => tracing::warn!(room.id = %id, error = %error, "could not load a room, trying again"),
                }
                attempt += 1;
                tokio::time::sleep(RETRY_AFTER * attempt.min(10)).await;
            }
        };
        context.wait(wrap_future::<_, Self>(loading).map(|loaded, room, context| room.loaded(loaded, context)));
    }

    fn loaded(&mut self, loaded: Result<Option<RoomState>, crate::ports::Unavailable>, context: &mut Context<Self>) {
        match loaded {
            Ok(Some(state)) if self.machine.is_some() => self.reloaded(state, context),
            Ok(Some(state)) => self.machine = Some(Machine::new(state)),
            Ok(None) => {}
            Err(error) => {
                tracing::error!(room.id = %self.id, error = %error, "could not load a room");
                self.unavailable = true;
            }
        }
        if self.replaces && self.machine.is_some() {
            self.recover(context);
        }
        self.schedule_flush(context);
        self.stop_when_idle(context);
    }

    /// Takes over the subscribers of an actor that died, from the hubs, which own them, and writes to them
    /// what they have not seen.
    fn recover(&mut self, context: &mut Context<Self>) {
        self.replaces = false;
        self.worker.core.metrics.rooms_recovered.inc();
        let core = self.worker.core.clone();
        let id = self.id;
        let asking = async move {
            let mut found = Vec::new();
            for link in core.hubs() {
                if let Ok(recovered) = link.address.send(crate::hub::Recover { room: id }).await
                    && !recovered.subscribers.is_empty()
                {
                    let missed = core.events_after(id, recovered.delivered).await;
                    found.push((link, recovered, missed));
                }
            }
            found
        };
        context.wait(wrap_future::<_, Self>(asking).map(|found, room, _| {
            for (link, recovered, missed) in found {
                for subscriber in &recovered.subscribers {
                    room.subscribers.add(*subscriber, &link);
                }
                room.deliver_missed(&link, missed);
            }
        }));
    }

    /// Writes to a thread's subscribers what they have not seen; where that is too much, tells them so.
    fn deliver_missed(&mut self, link: &HubLink, missed: Option<Vec<wire::Event>>) {
        let Some(head) = self.machine.as_ref().map(|machine| machine.state().head.position) else { return };
        let Some(mut missed) = missed else {
            self.worker.core.metrics.resets.inc();
            let job = Job::Deliver { frames: reset_frames(self.id, head), last: head.seq };
            return self.subscribers.perform_on(link, &self.worker, self.id, job);
        };
        missed.retain(|event| event.seq <= head.seq.0);
        let removed: Vec<UserId> = missed.iter().filter_map(left_user).collect();
        if !missed.is_empty() {
            let frames = Frames::of_events(missed, |_| true);
            self.subscribers.perform_on(link, &self.worker, self.id, Job::Deliver { frames, last: head.seq });
        }
        removed.into_iter().for_each(|user| self.remove_user(user));
    }

    fn schedule_flush(&mut self, context: &mut Context<Self>) {
        if !self.flush_scheduled {
            self.flush_scheduled = true;
            context.notify(Flush);
        }
    }

    /// Sends the next batch to the log.
    fn flush(&mut self, context: &mut Context<Self>) {
        let Some(machine) = &mut self.machine else { return };
        let (effects, batch) = machine.next_batch(|| self.worker.core.ids.next());
        let span = match (&batch, machine.first_in_flight()) {
            (Some(batch), Some(ticket)) => tracing::debug_span!(
                target: crate::TRACE, parent: &ticket.span, "room.append", room.id = %self.id, events = batch.events.len()
            ),
            _ => tracing::Span::none(),
        };
        self.carry_out(effects, &span, context);
        if let Some(batch) = batch {
            self.append(batch, span, None, context);
        }
    }

    fn append(&mut self, batch: Append, span: tracing::Span, pause: Option<Duration>, context: &mut Context<Self>) {
        let core = self.worker.core.clone();
        let inner = span.clone();
        let appending = async move {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            core.metrics.append_events.observe(batch.events.len() as f64);
            let started_at = Instant::now();
            let answer = core.log.append(batch).instrument(inner).await;
            core.metrics.append_seconds.observe(started_at.elapsed().as_secs_f64());
            answer
        };
        context.spawn(
            wrap_future::<_, Self>(appending).map(move |answer, room, context| room.appended(answer, &span, context)),
        );
    }

    fn appended(
        &mut self,
        answer: Result<Vec<Outcome>, AppendError>,
        span: &tracing::Span,
        context: &mut Context<Self>,
    ) {
        let Some(machine) = &mut self.machine else { return };
        if let Err(error) = &answer {
            tracing::warn!(room.id = %self.id, error = %error, "could not append to a room");
        }
        let effects = machine.appended(answer, Instant::now());
        self.carry_out(effects, span, context);
        self.flush(context);
    }

    fn reloaded(&mut self, state: RoomState, context: &mut Context<Self>) {
        let Some(machine) = &mut self.machine else { return };
        let applied = machine.state().applied();
        let missed_to = state.applied();
        machine.reloaded(state);
        if missed_to > applied {
            self.catch_subscribers_up(applied, context);
        }
    }

    /// Writes to all subscribers what the room has not applied itself but loaded.
    fn catch_subscribers_up(&mut self, after: Sequence, context: &mut Context<Self>) {
        let core = self.worker.core.clone();
        let id = self.id;
        let reading = async move { core.events_after(id, after).await };
        context.wait(wrap_future::<_, Self>(reading).map(|missed, room, context| {
            for link in room.subscribers.links() {
                room.deliver_missed(&link, missed.clone());
            }
            room.hand_over_later(context);
        }));
    }

    fn carry_out(&mut self, effects: Vec<Effect<Ticket>>, span: &tracing::Span, context: &mut Context<Self>) {
        for effect in effects {
            match effect {
                Effect::Reply(ticket, answer) => {
                    self.count(&answer);
                    // Whoever asked may be gone.
                    let _ = ticket.reply.send(answer);
                }
                Effect::FanOut(events) => self.fan_out(events, span, context),
                Effect::Remove(user) => self.remove_user(user),
                Effect::Fill(after) => self.fill(after, context),
                Effect::Reload => self.load(context),
                Effect::Retry(batch) => self.append(batch, span.clone(), Some(RETRY_AFTER), context),
            }
        }
    }

    fn count(&self, answer: &Result<Answer, wire::Error>) {
        let metrics = &self.worker.core.metrics;
        match answer {
            Ok(Answer::Placed { repeated: true, .. }) => metrics.messages_repeated.inc(),
            Ok(Answer::Placed { placement, .. }) if placement.ordinal.is_some() => metrics.messages_acknowledged.inc(),
            _ => 0,
        };
    }

    fn fan_out(&mut self, events: Vec<wire::Event>, span: &tracing::Span, context: &mut Context<Self>) {
        let Some(last) = events.last().map(|event| Sequence(event.seq)) else { return };
        if self.subscribers.is_empty() {
            return;
        }
        let _entered = tracing::debug_span!(
            target: crate::TRACE, parent: span, "room.fan_out", room.id = %self.id, message.seq = last.0, events = events.len()
        )
        .entered();
        let frames = Frames::of_events(events, |format| self.subscribers.wants(format));
        self.subscribers.perform_everywhere(&self.worker, self.id, &Job::Deliver { frames, last });
        self.hand_over_later(context);
    }

    fn hand_over_later(&mut self, context: &mut Context<Self>) {
        if self.hand_over_scheduled || !self.subscribers.has_backlog() {
            return;
        }
        self.hand_over_scheduled = true;
        context.run_later(HAND_OVER_AFTER, |room, context| {
            room.hand_over_scheduled = false;
            let Some(machine) = &room.machine else { return };
            let head = machine.state().head.position;
            room.subscribers.hand_over(&room.worker, room.id, head);
            room.hand_over_later(context);
        });
    }

    fn fill(&mut self, after: Sequence, context: &mut Context<Self>) {
        let core = self.worker.core.clone();
        let id = self.id;
        let reading = async move {
            loop {
                match core.log.tail(id, after, FILL_EVENTS).await {
                    Ok(events) => return events,
                    Err(error) => tracing::warn!(room.id = %id, error = %error, "could not read a room's log"),
                }
                tokio::time::sleep(RETRY_AFTER).await;
            }
        };
        context.wait(wrap_future::<_, Self>(reading).map(|events, room, context| {
            let Some(machine) = &mut room.machine else { return };
            let effects = machine.filled(events);
            room.carry_out(effects, &tracing::Span::none(), context);
            room.flush(context);
        }));
    }

    fn remove_user(&mut self, user: UserId) {
        let sessions = self.subscribers.sessions_of(user);
        if sessions.is_empty() {
            return;
        }
        self.subscribers.perform_everywhere(&self.worker, self.id, &Job::Remove { user });
        for session in sessions {
            self.subscribers.remove(session);
        }
        self.tell_presence(user, false);
    }

    fn tell_presence(&mut self, user: UserId, online: bool) {
        if self.subscribers.user_count() > PRESENCE_USERS_MAX {
            return;
        }
        let signal = wire::PresenceSignal { room: self.id.get(), user: user.get(), online };
        let job = Job::Signal { frames: Frames::of_body(Body::Presence(signal)), except: user };
        self.subscribers.perform_everywhere(&self.worker, self.id, &job);
    }

    /// Stops a while after the last use, when nobody receives the room.
    fn stop_when_idle(&mut self, context: &mut Context<Self>) {
        self.used_at = Instant::now();
        if self.is_idle() && !self.idle_check_scheduled {
            let after = if self.machine.is_some() { self.worker.core.options.room_idle } else { Duration::ZERO };
            self.check_idle_later(after, context);
        }
    }

    fn check_idle_later(&mut self, after: Duration, context: &mut Context<Self>) {
        self.idle_check_scheduled = true;
        context.run_later(after, move |room, context| {
            room.idle_check_scheduled = false;
            if !room.is_idle() {
                return;
            }
            match after.checked_sub(room.used_at.elapsed()).filter(|left| !left.is_zero()) {
                Some(left) => room.check_idle_later(left, context),
                None => {
                    room.worker.core.rooms.forget(room.id, &context.address());
                    context.stop();
                }
            }
        });
    }

    fn is_idle(&self) -> bool {
        self.subscribers.is_empty() && self.machine.as_ref().is_none_or(Machine::is_idle)
    }

    fn existing(&self) -> Result<&Machine<Ticket>, wire::Error> {
        match &self.machine {
            Some(machine) => Ok(machine),
            None if self.unavailable => Err(cannot_load()),
            None => Err(not_found()),
        }
    }

    fn take_send_token(&mut self, user: UserId) -> Result<(), wire::Error> {
        // What the server has to say at its first start is no flood, however low the limit is set.
        if user == SYSTEM_USER {
            return Ok(());
        }
        let rate = self.worker.core.options.send_rate;
        let now = Instant::now();
        if self.send_buckets.len() > SEND_BUCKETS_MAX {
            self.send_buckets.retain(|_, bucket| !bucket.is_full(rate, now));
        }
        let bucket = self.send_buckets.entry(user).or_insert_with(|| Bucket::full(rate, now));
        match bucket.take_or_wait(rate, 1.0, now) {
            Verdict::Allowed => Ok(()),
            Verdict::Limited { retry_after } => {
                self.worker.core.metrics.sends_limited.inc();
                Err(ErrorCode::RateLimited.error("too many messages to this room").with_retry_after(retry_after))
            }
            Verdict::Flooded => Err(ErrorCode::RateLimited.error("too many messages to this room")),
        }
    }

    /// Where a client that was at `cursor` can go on.
    fn judge_cursor(
        &self,
        state: &RoomState,
        cursor: Option<Position>,
    ) -> Result<(Sequence, Option<ResetReason>), wire::Error> {
        let head = state.head.position;
        let Some(cursor) = cursor else { return Ok((head.seq, None)) };
        match judge_cursor(&state.spans, head, cursor) {
            Cursor::Good(seq) if head.seq.0 - seq.0 > RESUME_EVENTS_MAX => {
                Ok((head.seq, Some(ResetReason::TooFarBehind)))
            }
            Cursor::Good(seq) => Ok((seq, None)),
            Cursor::Lost => Ok((head.seq, Some(ResetReason::NewEpoch))),
            Cursor::Never => {
                Err(ErrorCode::InvalidCursor.error("the cursor is ahead of the room").with_field("cursor"))
            }
        }
    }
}

/// Buckets of senders kept before full ones are dropped, which say nothing.
const SEND_BUCKETS_MAX: usize = 1024;

async fn load_state(core: &crate::Core, id: RoomId) -> Result<Option<RoomState>, crate::ports::Unavailable> {
    if let Some(snapshot) = core.directory.snapshot(id).await? {
        return Ok(Some(RoomState::from_snapshot(snapshot)));
    }
    let head = core.log.head(id).await?;
    Ok(head.map(|head| RoomState::empty(id, head)))
}

/// What is visible, up to `last`.
fn clip(visible: Visible, last: Sequence) -> Visible {
    let within = visible.into_iter().filter(|range| *range.start() <= last);
    within.map(|range| *range.start()..=last.min(*range.end())).collect()
}

fn left_user(event: &wire::Event) -> Option<UserId> {
    match &event.body {
        Some(wire::event::Body::Left(left)) => UserId::new(left.user).ok(),
        _ => None,
    }
}

fn cannot_load() -> wire::Error {
    ErrorCode::Unavailable.error("the room cannot be loaded for now").with_retry_after(Duration::from_secs(1))
}

impl Actor for Room {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX_MAX);
        self.worker.core.metrics.rooms.inc();
        self.load(context);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.ended = true;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.worker.core.metrics.rooms.dec();
        if !self.ended
            && let Some(hub) = self.worker.hub_address()
        {
            hub.do_send(RoomDied { room: self.id });
        }
    }
}

/// Sends what waits to the log, once the mailbox is drained: a burst becomes one batch.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Flush;

impl Handler<Flush> for Room {
    type Result = ();

    fn handle(&mut self, _: Flush, context: &mut Self::Context) {
        self.flush_scheduled = false;
        self.flush(context);
    }
}

impl Handler<Ask> for Room {
    type Result = ();

    fn handle(&mut self, ask: Ask, context: &mut Self::Context) {
        let Ask { acting, command, key, reply, span } = ask;
        let limited = match &command {
            Command::Send(_) => self.existing().map(|_| ()).and_then(|()| self.take_send_token(acting.user)),
            _ => self.existing().map(|_| ()),
        };
        let refused = match (limited, &mut self.machine) {
            (Err(error), _) => Some((Ticket { reply, span }, error)),
            (Ok(()), Some(machine)) => {
                machine.submit(Ticket { reply, span }, acting, command, key, Instant::now()).err()
            }
            (Ok(()), None) => Some((Ticket { reply, span }, not_found())),
        };
        if let Some((ticket, error)) = refused {
            if ErrorCode::parse(&error.code) == Some(ErrorCode::Busy) {
                self.worker.core.metrics.room_queue_full.inc();
            }
            let _ = ticket.reply.send(Err(error));
        }
        self.schedule_flush(context);
        self.stop_when_idle(context);
    }
}

impl Handler<Inspect> for Room {
    type Result = MessageResult<Inspect>;

    fn handle(&mut self, inspect: Inspect, context: &mut Self::Context) -> Self::Result {
        self.stop_when_idle(context);
        MessageResult(self.inspect(&inspect))
    }
}

impl Room {
    fn inspect(&self, inspect: &Inspect) -> Result<Inspected, wire::Error> {
        let state = self.existing()?.state();
        let Inspect { acting, presence } = inspect;
        let visible = state.visible(acting.user);
        // Somebody who was a member may still read what they saw, and so may know of the room.
        let role = if visible.is_some() { state.role(acting.user) } else { require_seen(state, acting)? };
        let (mut present, mut present_count) = (Vec::new(), 0);
        if *presence {
            require_member(role)?;
            present = self.subscribers.users().take(PRESENT_USERS_MAX).collect();
            present_count = self.subscribers.user_count() as u64;
        }
        Ok(Inspected { room: state.listed(acting.user), role, visible, present, present_count })
    }

    fn inquire(&self, inquire: &Inquire) -> Result<Inquired, wire::Error> {
        let state = self.existing()?.state();
        if state.visible(inquire.acting.user).is_none() {
            require_member(require_seen(state, &inquire.acting)?)?;
        }
        let (after, reset) = self.judge_cursor(state, inquire.cursor)?;
        if reset.is_some() {
            self.worker.core.metrics.resets.inc();
        }
        let answer = wire::SubscribeOk {
            room: self.id.get(),
            head: Some(state.head.position.into()),
            reset: reset.map(|reason| reason as i32),
            error: None,
        };
        Ok(Inquired { answer, after })
    }

    fn attach(&mut self, attach: &Attach) -> Attached {
        let Some(machine) = &self.machine else { return Attached::Unavailable };
        let state = machine.state();
        let visible = state.visible(attach.acting.user).unwrap_or_default();
        if state.role(attach.acting.user).is_none() {
            return Attached::Ended { visible };
        }
        let last = state.applied();
        let Some(mut missing) = machine.events_after(attach.after) else {
            return Attached::Behind { applied: last, visible: clip(visible, last) };
        };
        missing.retain(|event| visible.iter().any(|range| range.contains(&Sequence(event.seq))));
        let subscriber = attach.subscriber;
        let frames = Frames::of_events(missing, |format| format == subscriber.format);
        let backlog = frames.of(subscriber.format).cloned().unwrap_or_default();
        let Some(link) = self.worker.core.hub(attach.worker) else { return Attached::Unavailable };
        self.detach(subscriber.session);
        // At once or not at all: what waits here would be forgotten if this actor died.
        if !self.subscribers.hand_to(&link, &self.worker, self.id, Job::Attach { subscriber, backlog, last }) {
            return Attached::Unavailable;
        }
        if self.subscribers.add(subscriber, &link) {
            self.tell_presence(subscriber.user, true);
        }
        Attached::Live
    }

    fn detach(&mut self, session: crate::hub::SessionId) {
        let Some(removed) = self.subscribers.remove(session) else { return };
        if let Some(link) = self.worker.core.hub(removed.worker) {
            let job = Job::Detach { session, format: removed.format };
            self.subscribers.perform_on(&link, &self.worker, self.id, job);
        }
        if removed.last {
            self.tell_presence(removed.user, false);
        }
    }

    fn typing(&mut self, acting: &Acting) -> Result<(), wire::Error> {
        let state = self.existing()?.state();
        require_member(require_seen(state, acting)?)?;
        let signal = wire::TypingSignal { room: self.id.get(), user: acting.user.get() };
        let job = Job::Signal { frames: Frames::of_body(Body::Typing(signal)), except: acting.user };
        self.subscribers.perform_everywhere(&self.worker, self.id, &job);
        Ok(())
    }
}

impl Handler<Inquire> for Room {
    type Result = MessageResult<Inquire>;

    fn handle(&mut self, inquire: Inquire, context: &mut Self::Context) -> Self::Result {
        self.stop_when_idle(context);
        MessageResult(Room::inquire(self, &inquire))
    }
}

impl Handler<Attach> for Room {
    type Result = MessageResult<Attach>;

    fn handle(&mut self, attach: Attach, context: &mut Self::Context) -> Self::Result {
        let attached = Room::attach(self, &attach);
        self.hand_over_later(context);
        self.stop_when_idle(context);
        MessageResult(attached)
    }
}

impl Handler<Detach> for Room {
    type Result = ();

    fn handle(&mut self, detach: Detach, context: &mut Self::Context) {
        Room::detach(self, detach.session);
        self.hand_over_later(context);
        self.stop_when_idle(context);
    }
}

impl Handler<TypingHint> for Room {
    type Result = MessageResult<TypingHint>;

    fn handle(&mut self, hint: TypingHint, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.typing(&hint.acting))
    }
}
