use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, Handler};
use bobchat_proto::ids::{Epoch, RoomId, Sequence, UserId};
use bobchat_proto::wire::{self};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::presence::Presence;
use super::subscribers::Subscribers;
use super::{Answer, Effect, Machine, RoomState};
use crate::bucket::Bucket;
use crate::hub::RoomDied;
use crate::plant::{self, Bug};
use crate::ports::{Append, AppendError, Backplane, Outcome, Unavailable};
use crate::random::RandomState;
use crate::traces;
use crate::worker::Worker;

/// Messages that may wait for a room while it loads; afterwards it takes them as they come.
const MAILBOX_MAX: usize = 1024;

/// How long a room that nobody receives waits at most before it looks whether its time is over: by then a shorter time
/// holds for it too.
const IDLE_LOOK_MAX: Duration = Duration::from_secs(60);

/// Pause before a batch whose outcome is unknown is sent again, and before a room is loaded again.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// How often a room that cannot be loaded is tried before those who wait are told.
const LOAD_ATTEMPTS: u32 = 20;

/// Events read at once to fill a hole.
const FILL_EVENTS: usize = 1024;

/// How whoever asked is found again.
pub(super) struct Ticket {
    pub(super) reply: oneshot::Sender<Result<Answer, wire::Error>>,
    pub(super) span: tracing::Span,
}

/// Lets the node hear of a room, for as long as it is kept.
struct Followed {
    backplane: Arc<dyn Backplane>,
    room: RoomId,
}

impl Followed {
    async fn begin(backplane: Arc<dyn Backplane>, room: RoomId) -> Result<Self, Unavailable> {
        backplane.follow(room).await?;
        Ok(Self { backplane, room })
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.backplane.unfollow(self.room);
    }
}

/// The actor of one room on this node.
///
/// It starts when somebody asks for the room and stops when nobody receives it any more. A panic ends it
/// for good; its thread's hub starts another, which takes over the subscribers and writes to them what they
/// have not seen (see [`Room::recover`]).
pub struct Room {
    pub(super) id: RoomId,
    pub(super) worker: Rc<Worker>,
    /// None until the room is loaded, and in a room that does not exist.
    pub(super) machine: Option<Machine<Ticket>>,
    /// Set when the room could not be loaded.
    pub(super) unavailable: bool,
    pub(super) subscribers: Subscribers,
    /// Its people at other nodes.
    pub(super) presence: Presence,
    /// Whether the other nodes are being told of the people here, or will be.
    pub(super) telling_nodes: bool,
    pub(super) send_buckets: HashMap<UserId, Bucket, RandomState>,
    pub(super) flush_scheduled: bool,
    pub(super) hand_over_scheduled: bool,
    pub(super) idle_check_scheduled: bool,
    /// Whether the node hears of the room because of this actor.
    followed: Option<Followed>,
    /// Whether this replaces an actor that died.
    pub(super) replaces: bool,
    /// Set when the actor stops in good order.
    pub(super) ended: bool,
    pub(super) used_at: Instant,
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
            presence: Presence::default(),
            telling_nodes: false,
            send_buckets: HashMap::default(),
            flush_scheduled: false,
            hand_over_scheduled: false,
            idle_check_scheduled: false,
            followed: None,
            replaces,
            ended: false,
            used_at: Instant::now(),
        }
    }

    /// Loads the room's state; nothing else is handled meanwhile. It is followed first, so that what is appended
    /// behind the state is heard (rule 23).
    fn load(&mut self, context: &mut Context<Self>) {
        let core = self.worker.core.clone();
        let id = self.id;
        let patient = self.replaces;
        let mut followed = self.followed.take();
        let loading = async move {
            let mut attempt = 0;
            loop {
                match follow_and_load(&core, id, &mut followed).await {
                    Ok(state) => return (Ok(state), followed),
                    Err(error) if attempt >= LOAD_ATTEMPTS && !patient => return (Err(error), followed),
                    Err(error) => tracing::warn!(room.id = %id, error = %error, "could not load a room, trying again"),
                }
                attempt += 1;
                tokio::time::sleep(RETRY_AFTER * attempt.min(10)).await;
            }
        };
        context.wait(wrap_future::<_, Self>(loading).map(|(loaded, followed), room, context| {
            room.followed = followed;
            room.loaded(loaded, context);
        }));
    }

    fn loaded(&mut self, loaded: Result<Option<RoomState>, Unavailable>, context: &mut Context<Self>) {
        let first = self.machine.is_none();
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
        if first {
            self.ask_nodes(context);
        }
        self.schedule_flush(context);
        self.stop_when_idle(context);
    }

    pub(super) fn schedule_flush(&mut self, context: &mut Context<Self>) {
        if !self.flush_scheduled {
            self.flush_scheduled = true;
            context.notify(Flush);
        }
    }

    /// Sends the next batch to the log.
    fn flush(&mut self, context: &mut Context<Self>) {
        let Some(machine) = &mut self.machine else { return };
        let (effects, batch) = machine.next_batch(|| self.worker.core.ids.next());
        let asked = machine.in_flight().map(|ticket| &ticket.span);
        let span = batch.as_ref().map_or_else(tracing::Span::none, |batch| {
            let events = batch.events.len();
            traces::below(asked, |parent| {
                tracing::debug_span!(target: traces::TRACE, parent: parent, "room.append", room.id = %self.id, events)
            })
        });
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
            let answer = core.log.append(batch).instrument(inner.clone()).await;
            core.metrics.stages.append.observe(started_at.elapsed().as_secs_f64(), &inner);
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
        let begun_at = Instant::now();
        let effects = machine.appended(answer, begun_at);
        self.worker.core.metrics.stages.apply.observe(begun_at.elapsed().as_secs_f64(), span);
        self.carry_out(effects, span, context);
        self.flush(context);
        // While it was on its way the room was not idle, and nothing may come after it.
        self.stop_when_idle(context);
    }

    fn reloaded(&mut self, state: RoomState, context: &mut Context<Self>) {
        let Some(machine) = &mut self.machine else { return };
        let effects = machine.reloaded(state);
        self.carry_out(effects, &tracing::Span::none(), context);
    }

    pub(super) fn carry_out(
        &mut self,
        effects: Vec<Effect<Ticket>>,
        span: &tracing::Span,
        context: &mut Context<Self>,
    ) {
        for effect in effects {
            match effect {
                Effect::Reply(ticket, answer) => {
                    self.count(&answer);
                    // Whoever asked may be gone.
                    let _ = ticket.reply.send(answer);
                }
                Effect::FanOut(events) => self.fan_out(events, span, context),
                Effect::Remove(_) if plant::is(Bug::DeliveryAfterLeave) => {}
                Effect::Remove(user) => self.remove_user(user),
                Effect::Fill(after) => self.fill(after, context),
                Effect::Reload => self.load(context),
                Effect::Retry(batch) => self.append(batch, span.clone(), Some(RETRY_AFTER), context),
                Effect::AskOthers(ids) => self.ask_others(ids, context),
                Effect::Lost(events) => self.worker.core.log.put_back(self.id, events),
                Effect::Reset => self.reset_subscribers(context),
                Effect::CatchUp(after) => self.catch_subscribers_up(after, context),
            }
        }
        self.tell_nodes_later(context);
    }

    fn count(&self, answer: &Result<Answer, wire::Error>) {
        let metrics = &self.worker.core.metrics;
        match answer {
            Ok(Answer::Placed { repeated: true, .. }) => metrics.messages_repeated.inc(),
            Ok(Answer::Placed { placement, .. }) if placement.ordinal.is_some() => metrics.messages_acknowledged.inc(),
            _ => 0,
        };
    }

    fn fill(&mut self, after: Sequence, context: &mut Context<Self>) {
        let core = self.worker.core.clone();
        let id = self.id;
        core.metrics.holes_filled.inc();
        let reading = async move {
            loop {
                match read_missing(&core, id, after).await {
                    Ok(missing) => return missing,
                    Err(error) => tracing::warn!(room.id = %id, error = %error, "could not read a room's log"),
                }
                tokio::time::sleep(RETRY_AFTER).await;
            }
        };
        context.wait(wrap_future::<_, Self>(reading).map(|missing, room, context| {
            let Some(machine) = &mut room.machine else { return };
            let mut effects = machine.filled(missing.events, missing.has_more);
            effects.extend(missing.epoch.map_or_else(Vec::new, |epoch| machine.told_epoch(epoch)));
            room.carry_out(effects, &tracing::Span::none(), context);
            room.flush(context);
            room.stop_when_idle(context);
        }));
    }

    /// Stops a while after the last use, when nobody receives the room.
    pub(super) fn stop_when_idle(&mut self, context: &mut Context<Self>) {
        self.used_at = Instant::now();
        if self.is_idle() && !self.idle_check_scheduled {
            self.check_idle_later(self.idle_max(), context);
        }
    }

    fn check_idle_later(&mut self, after: Duration, context: &mut Context<Self>) {
        self.idle_check_scheduled = true;
        context.run_later(after.min(IDLE_LOOK_MAX), move |room, context| {
            room.idle_check_scheduled = false;
            if !room.is_idle() {
                return;
            }
            match room.idle_max().checked_sub(room.used_at.elapsed()).filter(|left| !left.is_zero()) {
                Some(left) => room.check_idle_later(left, context),
                None => {
                    room.worker.core.rooms.forget(room.id, &context.address());
                    context.stop();
                }
            }
        });
    }

    /// How long it stays without being used; what is no room does not.
    fn idle_max(&self) -> Duration {
        if self.machine.is_some() { self.worker.core.options.room_idle() } else { Duration::ZERO }
    }

    fn is_idle(&self) -> bool {
        self.subscribers.is_empty() && self.machine.as_ref().is_none_or(Machine::is_idle)
    }
}

/// What a room has not seen of its log.
struct Missing {
    events: Vec<wire::Event>,
    /// Whether there are more behind them.
    has_more: bool,
    /// The epoch that the log stands in, asked for where no event says it.
    epoch: Option<Epoch>,
}

/// Reads what follows `after`: from the log, and where it does not reach back so far, from history (rule 24).
async fn read_missing(core: &crate::Core, id: RoomId, after: Sequence) -> Result<Missing, Unavailable> {
    let events = core.log.tail(id, after, FILL_EVENTS).await?;
    if events.first().is_none_or(|first| first.seq == after.next().0) {
        let epoch = if events.is_empty() { core.log.epoch(id).await? } else { None };
        return Ok(Missing { has_more: events.len() == FILL_EVENTS, events, epoch });
    }
    let everything = vec![Sequence(1)..=Sequence(u64::MAX)];
    let page = core.history.events(id, after, FILL_EVENTS, &everything).await?;
    Ok(Missing { events: page.events, has_more: true, epoch: None })
}

async fn follow_and_load(
    core: &crate::Core,
    id: RoomId,
    followed: &mut Option<Followed>,
) -> Result<Option<RoomState>, Unavailable> {
    if followed.is_none() {
        *followed = Some(Followed::begin(core.backplane.clone(), id).await?);
    }
    load_state(core, id).await
}

async fn load_state(core: &crate::Core, id: RoomId) -> Result<Option<RoomState>, Unavailable> {
    if let Some(snapshot) = core.directory.snapshot(id).await? {
        return Ok(Some(RoomState::from_snapshot(snapshot)));
    }
    match core.log.head(id).await? {
        // Made at another node between the two readings: what it says is not known yet.
        Some(head) if head.position.seq > Sequence::ZERO => {
            Err(Unavailable::new("the room's first event came while it was read"))
        }
        head => Ok(head.map(|head| RoomState::empty(id, head))),
    }
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
