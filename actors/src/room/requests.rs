//! What a room answers to those who ask.

use actix::{Handler, MessageResult};
use bobchat_proto::error::ErrorCode;
use bobchat_proto::ids::{Position, Sequence, UserId};
use bobchat_proto::limits::RESUME_EVENTS_MAX;
use bobchat_proto::wire::{self, ResetReason, server_frame::Body};
use std::time::Duration;
use tokio::time::Instant;

use super::actor::{Room, Ticket};
use super::decide::{not_found, require_member, require_seen};
use super::messages::{Ask, Attach, Attached, Detach, Heard, Inquire, Inquired, Inspect, Inspected, TypingHint};
use super::{Command, Frames, Machine, RoomState};
use crate::bucket::{Bucket, Verdict};
use crate::hub::Job;
use crate::operations::{Acting, SYSTEM_USER};
use crate::plant::{self, Bug};
use crate::ports::{Cursor, Told, Visible, is_shown, judge_cursor};

/// Buckets of senders kept before full ones are dropped, which say nothing.
const SEND_BUCKETS_MAX: usize = 1024;

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

impl Handler<Inquire> for Room {
    type Result = MessageResult<Inquire>;

    fn handle(&mut self, inquire: Inquire, context: &mut Self::Context) -> Self::Result {
        self.stop_when_idle(context);
        let answer = Room::inquire(self, &inquire);
        if let (Ok(None), Some(head), Some(machine)) = (&answer, inquire.log_head, &mut self.machine) {
            let effects = machine.told_head(Some(head));
            self.carry_out(effects, &tracing::Span::none(), context);
        }
        MessageResult(answer)
    }
}

impl Handler<Attach> for Room {
    type Result = MessageResult<Attach>;

    fn handle(&mut self, attach: Attach, context: &mut Self::Context) -> Self::Result {
        let attached = Room::attach(self, &attach);
        self.hand_over_later(context);
        self.tell_nodes_later(context);
        self.stop_when_idle(context);
        MessageResult(attached)
    }
}

impl Handler<Detach> for Room {
    type Result = ();

    fn handle(&mut self, detach: Detach, context: &mut Self::Context) {
        Room::detach(self, detach.session);
        self.hand_over_later(context);
        self.tell_nodes_later(context);
        self.stop_when_idle(context);
    }
}

impl Handler<TypingHint> for Room {
    type Result = MessageResult<TypingHint>;

    fn handle(&mut self, hint: TypingHint, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.typing(&hint.acting))
    }
}

impl Handler<Heard> for Room {
    type Result = ();

    fn handle(&mut self, heard: Heard, context: &mut Self::Context) {
        let Some(machine) = &mut self.machine else { return };
        let Heard { told, span, weight: _until_handled } = heard;
        let effects = match told {
            Told::Events(events) => {
                let (metrics, begun_at) = (&self.worker.core.metrics, Instant::now());
                metrics.events_heard.inc_by(events.len() as u64);
                let effects = machine.heard(events);
                metrics.stages.apply.observe(begun_at.elapsed().as_secs_f64(), &span);
                effects
            }
            Told::Head(head) => machine.told_head(head),
            Told::Typing(signal) => return self.show_typing(signal),
            Told::Presence(presence) => return self.heard_presence(presence, context),
            Told::Anew => return self.ask_nodes(context),
        };
        self.carry_out(effects, &span, context);
    }
}

impl Room {
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
        let rate = self.worker.core.options.send_rate();
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

    /// Where a client that was at `cursor` can go on; who is too far behind begins anew (log protocol, rule 27).
    fn judge_cursor(
        &self,
        state: &RoomState,
        cursor: Option<Position>,
    ) -> Result<(Position, Option<ResetReason>), wire::Error> {
        let head = state.head.position;
        let Some(cursor) = cursor else { return Ok((head, None)) };
        match judge_cursor(&state.spans, head, cursor) {
            Cursor::Good(seq) if head.seq.0 - seq.0 > RESUME_EVENTS_MAX => Ok((head, Some(ResetReason::TooFarBehind))),
            Cursor::Good(_) => Ok((cursor, None)),
            Cursor::Lost => Ok((head, Some(ResetReason::NewEpoch))),
            Cursor::Never => {
                Err(ErrorCode::InvalidCursor.error("the cursor is ahead of the room").with_field("cursor"))
            }
        }
    }

    fn inspect(&self, inspect: &Inspect) -> Result<Inspected, wire::Error> {
        let state = self.existing()?.state();
        let Inspect { acting, presence } = inspect;
        let visible = state.visible(acting.user);
        // Somebody who was a member may still read what they saw, and so may know of the room.
        let role = if visible.is_some() { state.role(acting.user) } else { require_seen(state, acting)? };
        let (mut present, mut present_count) = (Vec::new(), 0);
        if *presence {
            require_member(role)?;
            (present, present_count) = self.present(state);
        }
        Ok(Inspected { room: state.listed(acting.user), role, visible, present, present_count })
    }

    fn inquire(&self, inquire: &Inquire) -> Result<Option<Inquired>, wire::Error> {
        let state = self.existing()?.state();
        if state.visible(inquire.acting.user).is_none() {
            require_member(require_seen(state, &inquire.acting)?)?;
        }
        if is_ahead(state, inquire) {
            return Ok(None);
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
        Ok(Some(Inquired { answer, after }))
    }

    fn attach(&mut self, attach: &Attach) -> Attached {
        let Some(machine) = &self.machine else { return Attached::Unavailable };
        let state = machine.state();
        let head = state.head.position;
        // The log may have been lost since the client was told where it goes on (rule 27).
        match judge_cursor(&state.spans, head, attach.after) {
            Cursor::Good(_) => {}
            Cursor::Lost => return Attached::Lost { head },
            // Read from a log that this room has not caught up with.
            Cursor::Never => return Attached::Unavailable,
        }
        let visible = state.visible(attach.acting.user).unwrap_or_default();
        if state.role(attach.acting.user).is_none() {
            return Attached::Ended { visible, head };
        }
        let last = head.seq;
        let Some(mut missing) = machine.events_after(attach.after.seq) else {
            return Attached::Behind { applied: head, visible: clip(visible, last) };
        };
        missing.retain(|event| is_shown(event, &visible, &state.spans));
        if plant::is(Bug::ReorderOnResume) {
            missing.reverse();
        }
        let (subscriber, wanted) = (attach.subscriber, attach.wanted.clone());
        let frames = Frames::of_events(missing, |format| format == subscriber.format);
        let backlog = frames.of(subscriber.format).cloned().unwrap_or_default();
        let Some(link) = self.worker.core.hub(attach.worker) else { return Attached::Unavailable };
        self.detach(subscriber.session);
        // Rule 27: what was missed and the place in the list go together, behind what was fanned out before. At once or
        // not at all: what waits here would be forgotten if this actor died.
        if !self.subscribers.hand_to(&link, &self.worker, self.id, Job::Attach { subscriber, wanted, backlog, last }) {
            return Attached::Unavailable;
        }
        if self.subscribers.add(subscriber, &link) {
            self.changed_here(subscriber.user, true);
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
            self.changed_here(removed.user, false);
        }
    }

    fn typing(&mut self, acting: &Acting) -> Result<(), wire::Error> {
        let state = self.existing()?.state();
        require_member(require_seen(state, acting)?)?;
        let signal = wire::TypingSignal { room: self.id.get(), user: acting.user.get() };
        self.worker.core.backplane.tell_typing(signal);
        self.show_typing(signal);
        Ok(())
    }

    fn show_typing(&mut self, signal: wire::TypingSignal) {
        // Who typed was a member where they did; here they may have been removed since (rule 28).
        let Ok(user) = UserId::new(signal.user) else { return };
        if self.machine.as_ref().is_none_or(|machine| machine.state().role(user).is_none()) {
            return;
        }
        let job = Job::Signal { frames: Frames::of_body(Body::Typing(signal)), except: user };
        self.subscribers.perform_everywhere(&self.worker, self.id, &job);
    }
}

/// What is visible, up to `last`.
fn clip(visible: Visible, last: Sequence) -> Visible {
    let within = visible.into_iter().filter(|range| *range.start() <= last);
    within.map(|range| *range.start()..=last.min(*range.end())).collect()
}

fn cannot_load() -> wire::Error {
    ErrorCode::Unavailable.error("the room cannot be loaded for now").with_retry_after(Duration::from_secs(1))
}

/// Whether a client may have seen what this room has not applied yet: at another node, before it came here.
fn is_ahead(state: &RoomState, inquire: &Inquire) -> bool {
    let Some(cursor) = inquire.cursor.filter(|cursor| *cursor > state.head.position) else { return false };
    cursor.seq != Sequence::ZERO && inquire.log_head.is_none_or(|head| head >= cursor)
}
