use std::collections::{HashMap, HashSet};

use bobchat_proto::ids::RoomId;

/// Which rooms this node wants to hear of, and which of them it does (log protocol, rule 30).
#[derive(Debug, Default)]
pub(super) struct Wanted {
    rooms: HashMap<RoomId, Room>,
    /// Rooms that were confirmed and are wanted no more.
    left: HashSet<RoomId>,
}

#[derive(Debug, Default)]
struct Room {
    /// How often it was asked for.
    times: usize,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Wanted,
    Asked,
    Confirmed,
}

impl Wanted {
    pub(super) fn want(&mut self, room: RoomId) {
        let found = self.rooms.entry(room).or_default();
        found.times = found.times.saturating_add(1);
    }

    /// Takes back one [`Wanted::want`]; `true` when it was the last.
    pub(super) fn leave(&mut self, room: RoomId) -> bool {
        let Some(found) = self.rooms.get_mut(&room) else { return false };
        found.times = found.times.saturating_sub(1);
        if found.times > 0 {
            return false;
        }
        if self.rooms.remove(&room).is_some_and(|room| room.state != State::Wanted) {
            self.left.insert(room);
        }
        true
    }

    pub(super) fn is_confirmed(&self, room: RoomId) -> bool {
        self.rooms.get(&room).is_some_and(|room| room.state == State::Confirmed)
    }

    pub(super) fn is_wanted(&self, room: RoomId) -> bool {
        self.rooms.contains_key(&room)
    }

    /// Notes what Redis says; whether it is news of a room that is wanted.
    pub(super) fn confirm(&mut self, room: RoomId) -> bool {
        let Some(found) = self.rooms.get_mut(&room) else { return false };
        found.state = State::Confirmed;
        true
    }

    /// The rooms to ask Redis for, from now on asked for; and those to take back.
    ///
    /// A room that was left and is wanted again is taken back first: the two commands keep their order.
    pub(super) fn difference(&mut self) -> (Vec<RoomId>, Vec<RoomId>) {
        let mut ask = Vec::new();
        for (id, room) in &mut self.rooms {
            if room.state == State::Wanted {
                room.state = State::Asked;
                ask.push(*id);
            }
        }
        (ask, self.left.drain().collect())
    }

    /// A connection is gone, and with it all that was confirmed.
    pub(super) fn begin_anew(&mut self) {
        self.rooms.values_mut().for_each(|room| room.state = State::Wanted);
        self.left.clear();
    }

    /// An answer may have been thrown away: asks again where none came.
    pub(super) fn ask_again(&mut self) {
        self.rooms.values_mut().filter(|room| room.state == State::Asked).for_each(|room| room.state = State::Wanted);
    }

    /// The rooms that Redis lets this node hear of.
    pub(super) fn confirmed(&self) -> Vec<RoomId> {
        let confirmed = self.rooms.iter().filter(|(_, room)| room.state == State::Confirmed);
        confirmed.map(|(id, _)| *id).collect()
    }

    pub(super) fn all(&self) -> Vec<RoomId> {
        self.rooms.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rule 30.
    #[test]
    fn a_room_is_asked_for_once_and_taken_back_with_the_last_who_wanted_it() {
        let room = RoomId::new(5).unwrap();
        let mut wanted = Wanted::default();
        wanted.want(room);
        wanted.want(room);
        assert_eq!(wanted.difference(), (vec![room], vec![]));
        assert_eq!(wanted.difference(), (vec![], vec![]), "asked for already");
        assert!(!wanted.is_confirmed(room));
        assert!(wanted.confirm(room) && wanted.is_confirmed(room));
        assert!(!wanted.leave(room) && wanted.is_confirmed(room));
        assert!(wanted.leave(room));
        assert_eq!(wanted.difference(), (vec![], vec![room]));
        assert!(!wanted.confirm(room), "late");
    }

    /// Rule 30.
    #[test]
    fn a_new_connection_begins_with_nothing() {
        let room = RoomId::new(5).unwrap();
        let mut wanted = Wanted::default();
        wanted.want(room);
        wanted.difference();
        wanted.confirm(room);
        wanted.begin_anew();
        assert!(!wanted.is_confirmed(room));
        assert_eq!(wanted.difference(), (vec![room], vec![]));
    }

    /// Rule 30.
    #[test]
    fn who_leaves_and_comes_back_at_once_is_asked_for_anew() {
        let room = RoomId::new(5).unwrap();
        let mut wanted = Wanted::default();
        wanted.want(room);
        wanted.difference();
        wanted.leave(room);
        wanted.want(room);
        assert_eq!(wanted.difference(), (vec![room], vec![room]));
    }
}
