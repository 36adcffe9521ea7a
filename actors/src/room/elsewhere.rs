//! What a room's actor tells other nodes of its people, and shows of theirs; and what it asks them of its log.

use std::time::Duration;

use actix::fut::wrap_future;
use actix::{ActorFutureExt as _, AsyncContext as _, Context, Handler, MessageResult};
use bobchat_proto::ids::UserId;
use bobchat_proto::limits::PRESENT_USERS_MAX;
use tokio::time::Instant;

use super::delivery::PRESENCE_USERS_MAX;
use super::{FirstPlaces, NodesChanged, Room, RoomState};
use crate::ports::{NodePresence, Unavailable};

/// How long changes are gathered before the other nodes are told: what comes back at once is told once.
const TELL_AFTER: Duration = Duration::from_millis(50);

/// The same in rooms whose people are not told of it anyway.
const TELL_MANY_AFTER: Duration = Duration::from_secs(1);

/// How soon nodes are told again what could not be told.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How long nodes have to answer who is asked for everybody: longer than any of them gathers changes.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

impl Room {
    /// A user's first connection to this node came, or the last one went.
    pub(super) fn changed_here(&mut self, user: UserId, came: bool) {
        if !self.presence.is_elsewhere(user) {
            self.show_presence(user, came);
        }
        self.presence.changed_here(user, came);
    }

    /// The people who are here, as many as are listed, and how many there are in all.
    pub(super) fn present(&self, state: &RoomState) -> (Vec<UserId>, u64) {
        let elsewhere = self.presence.elsewhere();
        // Who was removed is still there until their node has heard of it.
        let only_there = elsewhere.iter().copied().filter(|user| !self.subscribers.has_user(*user));
        let only_there: Vec<_> = only_there.filter(|user| state.role(*user).is_some()).collect();
        let count = self.subscribers.user_count() as u64 + only_there.len() as u64 + self.presence.unlisted();
        (self.subscribers.users().chain(only_there).take(PRESENT_USERS_MAX).collect(), count)
    }

    /// Asks the other nodes, if there are any, for their people: something of what they told may be missing.
    pub(super) fn ask_nodes(&mut self, context: &mut Context<Self>) {
        if self.machine.is_none() {
            return;
        }
        if !self.presence.has_peers() && self.worker.core.nodes.others().is_empty() {
            self.presence.nobody_to_ask();
            return;
        }
        self.presence.ask_everybody();
        self.tell_nodes_later(context);
    }

    pub(super) fn heard_presence(&mut self, told: NodePresence, context: &mut Context<Self>) {
        let nodes = &self.worker.core.nodes;
        let is_alive = nodes.is_alive(told.life);
        let news = self.presence.heard(told, is_alive, Instant::now());
        if news.unknown {
            nodes.look_soon();
        }
        self.show_elsewhere(news.changed);
        self.tell_nodes_later(context);
    }

    /// Shows who is at another node now, or at none. Who came is shown when they are a member here: the word may be
    /// older than their removal.
    fn show_elsewhere(&mut self, changed: Vec<(UserId, bool)>) {
        for (user, online) in changed {
            let is_member = self.machine.as_ref().is_some_and(|machine| machine.state().role(user).is_some());
            if !self.subscribers.has_user(user) && (is_member || !online) {
                self.show_presence(user, online);
            }
        }
    }

    /// Tells the other nodes what they have not been told, a little later.
    pub(super) fn tell_nodes_later(&mut self, context: &mut Context<Self>) {
        if self.telling_nodes || !self.presence.is_untold() {
            return;
        }
        self.telling_nodes = true;
        let many = self.subscribers.user_count() > PRESENCE_USERS_MAX;
        context.run_later(if many { TELL_MANY_AFTER } else { TELL_AFTER }, Self::tell_nodes);
    }

    /// One thing at a time: what is told keeps its order.
    fn tell_nodes(&mut self, context: &mut Context<Self>) {
        let core = self.worker.core.clone();
        self.telling_nodes = false;
        // Without its lease nobody would believe it; everybody is told under the next one.
        let Some(life) = core.nodes.life() else { return };
        let Some(told) = self.presence.next(life, self.subscribers.users()) else { return };
        self.telling_nodes = true;
        core.metrics.presence_told.inc();
        let (room, ask, asked_at) = (self.id, told.ask, Instant::now());
        let telling = async move { core.backplane.tell_presence(room, told).await };
        context.spawn(wrap_future::<_, Self>(telling).map(move |sent, room, context| {
            room.told_nodes(sent, ask.then_some(asked_at), context);
        }));
    }

    fn told_nodes(&mut self, sent: Result<(), Unavailable>, asked_at: Option<Instant>, context: &mut Context<Self>) {
        if let Err(error) = sent {
            tracing::debug!(room.id = %self.id, error = %error, "could not tell other nodes who is here");
            self.presence.not_told(asked_at.is_some());
            // Still telling: nothing else is told before.
            context.run_later(TELL_AGAIN_AFTER, Self::tell_nodes);
            return;
        }
        self.telling_nodes = false;
        self.tell_nodes_later(context);
        if let Some(asked_at) = asked_at {
            context.run_later(ANSWER_WITHIN, move |room, _| {
                let changed = room.presence.forget_silent(asked_at);
                room.show_elsewhere(changed);
            });
        }
    }
}

impl Room {
    /// Asks the nodes that follow the room where events stood which its log has lost, then goes on.
    pub(super) fn ask_others(&self, ids: Vec<u64>, context: &mut Context<Self>) {
        let (core, room, nodes) = (self.worker.core.clone(), self.id, self.presence.nodes().collect());
        let asking = async move { core.places_at(nodes, room, ids).await };
        // Not waited for: two rooms may ask each other.
        context.spawn(wrap_future::<_, Self>(asking).map(|places, room, context| {
            let Some(machine) = &mut room.machine else { return };
            let effects = machine.others_told(&places);
            room.carry_out(effects, &tracing::Span::none(), context);
            room.schedule_flush(context);
            room.stop_when_idle(context);
        }));
    }
}

impl Handler<FirstPlaces> for Room {
    type Result = MessageResult<FirstPlaces>;

    fn handle(&mut self, asked: FirstPlaces, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.machine.as_ref().map(|machine| machine.first_places(&asked.ids)).unwrap_or_default())
    }
}

impl Handler<NodesChanged> for Room {
    type Result = ();

    fn handle(&mut self, changed: NodesChanged, context: &mut Self::Context) {
        let core = self.worker.core.clone();
        let shown = self.presence.judge(|life| core.nodes.is_alive(life));
        self.show_elsewhere(shown);
        if changed.own && self.presence.has_peers() {
            self.presence.tell_everybody();
        }
        // Whose people were forgotten is back, as the same life or as another; or a node is there that had people here
        // before this one knew of it.
        if changed.came && self.presence.take_unasked() {
            self.presence.ask_everybody();
        }
        self.tell_nodes_later(context);
    }
}
