//! Commands that a log may have taken before it was lost.
//!
//! The log took an event, told the nodes that follow the room, and was lost before its answer came: nobody was told that
//! the event stands, and some have seen it. Whoever saw it puts it back (log protocol, rule 16), but perhaps later than
//! this node, which has to send it again and cannot know. Without a first place it would be judged as if it had just
//! been said. So those who may have seen it are asked first.

use bobchat_proto::ids::Position;
use bobchat_proto::wire;

use super::{Effect, Machine, Phase};

impl<T> Machine<T> {
    /// Asks of what waits and may have been appended to an epoch that is over.
    pub(super) fn ask_others(&mut self, effects: &mut Vec<Effect<T>>) {
        let epoch = self.state.head.position.epoch;
        let in_doubt = self.waiting.iter().filter(|pending| pending.doubt.is_some_and(|doubt| doubt < epoch));
        let ids: Vec<u64> = in_doubt.map(|pending| pending.id).collect();
        if !ids.is_empty() {
            self.phase = Phase::Asking;
            effects.push(Effect::AskOthers(ids));
        }
    }

    /// Takes where other nodes heard that events stood; whoever did not answer may have heard of others.
    pub fn others_told(&mut self, places: &[(u64, Position)]) -> Vec<Effect<T>> {
        debug_assert_eq!(self.phase, Phase::Asking, "nobody was asked");
        self.phase = Phase::Ready;
        let epoch = self.state.head.position.epoch;
        for pending in self.waiting.iter_mut().filter(|pending| pending.doubt.is_some_and(|doubt| doubt < epoch)) {
            let told = places.iter().filter(|(id, place)| *id == pending.id && place.epoch < epoch);
            let places = told.map(|(_, place)| *place).chain(pending.first);
            (pending.first, pending.doubt) = (places.min(), None);
        }
        let mut effects = Vec::new();
        if self.missed {
            self.fill(&mut effects);
        }
        effects
    }

    /// Where the room saw these events first, of those that it saw lately: also what its log has lost since.
    #[must_use]
    pub fn first_places(&self, ids: &[u64]) -> Vec<(u64, Position)> {
        let seen = || self.ring.iter().map(|event| (event.id, first_place(event))).chain(self.lost.iter().copied());
        let first = |id: &u64| seen().filter(|(seen, _)| seen == id).map(|(_, place)| place).min();
        ids.iter().filter_map(|id| Some((*id, first(id)?))).collect()
    }
}

/// Where an event stood before anything put it elsewhere.
pub(super) fn first_place(event: &wire::Event) -> Position {
    event.first.map_or_else(|| event.position(), Position::from)
}
