use std::collections::{HashMap, VecDeque};

use bobchat_proto::codec::Format;
use bobchat_proto::ids::{Position, RoomId, UserId};
use bobchat_proto::wire::{self, ResetReason, server_frame::Body};

use super::Frames;
use crate::hub::{HubLink, Job, Perform, SessionId, Subscriber, Writing};
use crate::random::RandomState;
use crate::worker::Worker;

/// Jobs kept for a hub whose mailbox is full. Beyond, the deliveries among them are given up and the
/// hub's subscribers are told to load the newest page (log protocol, rule 29).
const BACKLOG_MAX: usize = 1024;

/// A worker thread with subscribers of the room.
struct HubHere {
    link: HubLink,
    /// Jobs that did not fit its mailbox, in order.
    backlog: VecDeque<Job>,
    json: usize,
    protobuf: usize,
}

impl HubHere {
    fn count(&mut self, format: Format) -> &mut usize {
        match format {
            Format::Json => &mut self.json,
            Format::Protobuf => &mut self.protobuf,
        }
    }
}

/// Who receives a room, and on which threads.
#[derive(Default)]
pub(super) struct Subscribers {
    sessions: HashMap<SessionId, Here, RandomState>,
    /// How many connections each user has here.
    users: HashMap<UserId, u32, RandomState>,
    hubs: Vec<HubHere>,
}

struct Here {
    user: UserId,
    format: Format,
    worker: usize,
}

impl Subscribers {
    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    pub(super) fn users(&self) -> impl ExactSizeIterator<Item = UserId> + Clone {
        self.users.keys().copied()
    }

    pub(super) fn has_user(&self, user: UserId) -> bool {
        self.users.contains_key(&user)
    }

    pub(super) fn user_count(&self) -> usize {
        self.users.len()
    }

    pub(super) fn wants(&self, format: Format) -> bool {
        self.hubs.iter().any(|hub| match format {
            Format::Json => hub.json > 0,
            Format::Protobuf => hub.protobuf > 0,
        })
    }

    /// Notes a connection; `true` when it is the first of its user.
    pub(super) fn add(&mut self, subscriber: Subscriber, link: &HubLink) -> bool {
        let Subscriber { session, user, format } = subscriber;
        let worker = link.worker;
        if self.sessions.insert(session, Here { user, format, worker }).is_some() {
            return false;
        }
        *self.hub(link).count(format) += 1;
        let connections = self.users.entry(user).or_default();
        *connections += 1;
        *connections == 1
    }

    /// Forgets a connection; its user when it was their last one.
    pub(super) fn remove(&mut self, session: SessionId) -> Option<Removed> {
        let Here { user, format, worker } = self.sessions.remove(&session)?;
        if let Some(hub) = self.hubs.iter_mut().find(|hub| hub.link.worker == worker) {
            let count = hub.count(format);
            *count = count.saturating_sub(1);
        }
        let connections = self.users.entry(user).or_default();
        *connections = connections.saturating_sub(1);
        let last = *connections == 0;
        if last {
            self.users.remove(&user);
        }
        Some(Removed { user, format, worker, last })
    }

    /// The connections of a user.
    pub(super) fn sessions_of(&self, user: UserId) -> Vec<SessionId> {
        let sessions = self.sessions.iter().filter(|(_, here)| here.user == user);
        sessions.map(|(session, _)| *session).collect()
    }

    /// Has every thread with subscribers do a job.
    pub(super) fn perform_everywhere(&mut self, worker: &Worker, room: RoomId, job: &Job) {
        for hub in &mut self.hubs {
            hub.perform(worker, room, job.clone());
        }
    }

    /// Has one thread do a job.
    pub(super) fn perform_on(&mut self, link: &HubLink, worker: &Worker, room: RoomId, job: Job) {
        self.hub(link).perform(worker, room, job);
    }

    /// Has one thread do a job now, or not at all: `false` when it cannot take it.
    pub(super) fn hand_to(&mut self, link: &HubLink, worker: &Worker, room: RoomId, job: Job) -> bool {
        let hub = self.hub(link);
        if !hub.backlog.is_empty() {
            return false;
        }
        hub.perform(worker, room, job);
        hub.backlog.pop_back().is_none()
    }

    /// The threads with subscribers.
    pub(super) fn links(&self) -> Vec<HubLink> {
        self.hubs.iter().map(|hub| hub.link.clone()).collect()
    }

    /// Hands over what waits for full mailboxes.
    pub(super) fn hand_over(&mut self, worker: &Worker, room: RoomId, head: Position) {
        for hub in &mut self.hubs {
            if hub.backlog.len() > BACKLOG_MAX {
                hub.give_up(room, head);
                worker.core.metrics.resets.inc();
            }
            let waiting = std::mem::take(&mut hub.backlog);
            waiting.into_iter().for_each(|job| hub.perform(worker, room, job));
        }
    }

    pub(super) fn has_backlog(&self) -> bool {
        self.hubs.iter().any(|hub| !hub.backlog.is_empty())
    }

    fn hub(&mut self, link: &HubLink) -> &mut HubHere {
        let known = self.hubs.iter().position(|hub| hub.link.worker == link.worker);
        let index = known.unwrap_or(self.hubs.len());
        if known.is_none() {
            self.hubs.push(HubHere { link: link.clone(), backlog: VecDeque::new(), json: 0, protobuf: 0 });
        }
        #[expect(clippy::indexing_slicing, reason = "found or pushed just above")]
        &mut self.hubs[index]
    }
}

/// A connection that was forgotten.
pub(super) struct Removed {
    pub(super) user: UserId,
    pub(super) format: Format,
    pub(super) worker: usize,
    /// Whether it was the last one of its user.
    pub(super) last: bool,
}

impl HubHere {
    /// On the room's own thread at once, elsewhere by message; behind what could not be handed over yet (rule 29).
    /// Without waiting for the hub (rule 37).
    fn perform(&mut self, worker: &Worker, room: RoomId, job: Job) {
        if self.link.worker == worker.index {
            return worker.hub.perform(room, job);
        }
        if !self.backlog.is_empty() {
            return self.keep(worker, job);
        }
        if let Err(error) = self.link.address.try_send(Perform { room, job }) {
            worker.core.metrics.hub_queue_full.inc();
            self.keep(worker, error.into_inner().job);
        }
    }

    /// Keeps a job for later. A signal may be lost, and must not use up the room of what may not.
    fn keep(&mut self, worker: &Worker, job: Job) {
        match job {
            Job::Signal { .. } => drop(worker.core.metrics.signals_dropped.inc()),
            job => self.backlog.push_back(job),
        }
    }

    /// Replaces the deliveries that wait by one that tells the subscribers to load the newest page.
    fn give_up(&mut self, room: RoomId, head: Position) {
        self.backlog.retain(|job| !matches!(job, Job::Deliver { .. }));
        let frames = reset_frames(room, head, ResetReason::TooFarBehind);
        self.backlog.push_back(Job::Deliver {
            frames,
            hidden_from: None,
            last: head.seq,
            writing: Writing::untraced(),
        });
    }
}

/// What tells subscribers that their stream broke off.
pub(crate) fn reset_frames(room: RoomId, head: Position, reason: ResetReason) -> Frames {
    let reason = reason as i32;
    Frames::of_body(Body::Reset(wire::ResetSignal { room: room.get(), head: Some(head.into()), reason }))
}
