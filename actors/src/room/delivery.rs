//! What a room writes to those who receive it, through the hubs that own their connections.

use actix::fut::wrap_future;
use actix::{ActorFutureExt as _, AsyncContext as _, Context};
use bobchat_proto::ids::{Sequence, UserId};
use bobchat_proto::wire::{self, ResetReason, server_frame::Body};
use std::time::Duration;

use super::portions::{Portion, portions};
use super::subscribers::reset_frames;
use super::{Frames, Machine, Room};
use crate::hub::{HubLink, Job, Writing};
use crate::traces;

/// Pause before a full hub is tried again: long enough that it has done something, short enough that a
/// person does not notice.
const HAND_OVER_AFTER: Duration = Duration::from_millis(5);

/// Above this many people, presence is asked for and not told: telling is quadratic in them.
pub(super) const PRESENCE_USERS_MAX: usize = 100;

impl Room {
    /// Takes over the subscribers of an actor that died, from the hubs, which own them, and writes to them
    /// what they have not seen (log protocol, rule 39).
    pub(super) fn recover(&mut self, context: &mut Context<Self>) {
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
        context.wait(wrap_future::<_, Self>(asking).map(|found, room, context| {
            for (link, recovered, missed) in found {
                for subscriber in &recovered.subscribers {
                    room.subscribers.add(*subscriber, &link);
                }
                let removed = room.deliver_missed(&link, missed);
                removed.into_iter().for_each(|user| room.remove_user(user));
            }
            room.tell_nodes_later(context);
        }));
    }

    /// Writes to a thread's subscribers what they have not seen; where that is too much, tells them so. Returns who left
    /// meanwhile: that thread writes nothing more to them.
    fn deliver_missed(&mut self, link: &HubLink, missed: Option<Vec<wire::Event>>) -> Vec<UserId> {
        let Some(state) = self.machine.as_ref().map(Machine::state) else { return Vec::new() };
        let head = state.head.position;
        let Some(mut missed) = missed else {
            self.worker.core.metrics.resets.inc();
            let frames = reset_frames(self.id, head, ResetReason::TooFarBehind);
            let job = Job::Deliver { frames, hidden_from: None, last: head.seq, writing: Writing::untraced() };
            self.subscribers.perform_on(link, &self.worker, self.id, job);
            return Vec::new();
        };
        missed.retain(|event| event.seq <= head.seq.0);
        let portions: Vec<_> = portions(state, self.subscribers.users(), missed).collect();
        let mut gone = Vec::new();
        for Portion { events, hidden_from, removed } in portions {
            let last = events.last().map_or(head.seq, |event| Sequence(event.seq));
            let frames = Frames::of_events(events, |_| true);
            let writing = Writing::untraced();
            let jobs = [Job::Deliver { frames, hidden_from, last, writing }].into_iter();
            for job in jobs.chain(removed.map(|user| Job::Remove { user })) {
                self.subscribers.perform_on(link, &self.worker, self.id, job);
            }
            gone.extend(removed);
        }
        gone
    }

    /// Writes to all subscribers what the room has not applied itself but loaded.
    pub(super) fn catch_subscribers_up(&mut self, after: Sequence, context: &mut Context<Self>) {
        let core = self.worker.core.clone();
        let id = self.id;
        let reading = async move { core.events_after(id, after).await };
        context.wait(wrap_future::<_, Self>(reading).map(|missed, room, context| {
            let mut removed = Vec::new();
            for link in room.subscribers.links() {
                removed = room.deliver_missed(&link, missed.clone());
            }
            removed.into_iter().for_each(|user| room.remove_user(user));
            room.hand_over_later(context);
            room.tell_nodes_later(context);
        }));
    }

    /// Tells all subscribers that the log has lost what they have seen last, and takes leave of those who are no members
    /// by what it says now.
    pub(super) fn reset_subscribers(&mut self, context: &mut Context<Self>) {
        let Some(state) = self.machine.as_ref().map(Machine::state) else { return };
        let head = state.head.position;
        let gone: Vec<UserId> = self.subscribers.users().filter(|user| state.role(*user).is_none()).collect();
        self.worker.core.metrics.resets.inc();
        let frames = reset_frames(self.id, head, ResetReason::NewEpoch);
        let job = Job::Deliver { frames, hidden_from: None, last: head.seq, writing: Writing::untraced() };
        self.subscribers.perform_everywhere(&self.worker, self.id, &job);
        gone.into_iter().for_each(|user| self.remove_user(user));
        self.hand_over_later(context);
    }

    pub(super) fn fan_out(&mut self, events: Vec<wire::Event>, span: &tracing::Span, context: &mut Context<Self>) {
        let Some(last) = events.last().map(|event| Sequence(event.seq)) else { return };
        let Some(state) = self.machine.as_ref().map(Machine::state) else { return };
        if self.subscribers.is_empty() {
            return;
        }
        let span = traces::below([span], |parent| {
            let (room, events) = (self.id, events.len());
            tracing::debug_span!(
                target: traces::TRACE, parent: parent, "room.fan_out", room.id = %room, message.seq = last.0, events
            )
        });
        let _entered = span.enter();
        let writing = Writing::begin(&span);
        let portions: Vec<_> = portions(state, self.subscribers.users(), events).collect();
        for Portion { events, hidden_from, removed: _ } in portions {
            let last = events.last().map_or(last, |event| Sequence(event.seq));
            let frames = Frames::of_events(events, |format| self.subscribers.wants(format));
            let job = Job::Deliver { frames, hidden_from, last, writing: writing.clone() };
            self.subscribers.perform_everywhere(&self.worker, self.id, &job);
        }
        self.hand_over_later(context);
    }

    pub(super) fn hand_over_later(&mut self, context: &mut Context<Self>) {
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

    pub(super) fn remove_user(&mut self, user: UserId) {
        let sessions = self.subscribers.sessions_of(user);
        if sessions.is_empty() {
            return;
        }
        self.subscribers.perform_everywhere(&self.worker, self.id, &Job::Remove { user });
        for session in sessions {
            self.subscribers.remove(session);
        }
        self.changed_here(user, false);
    }

    /// Tells the subscribers that a user came or left, unless they are too many. Who is at two nodes counts twice.
    pub(super) fn show_presence(&mut self, user: UserId, online: bool) {
        let here = self.subscribers.user_count() as u64;
        if here.saturating_add(self.presence.count()) > PRESENCE_USERS_MAX as u64 {
            return;
        }
        let signal = wire::PresenceSignal { room: self.id.get(), user: user.get(), online };
        let job = Job::Signal { frames: Frames::of_body(Body::Presence(signal)), except: user };
        self.subscribers.perform_everywhere(&self.worker, self.id, &job);
    }
}
