//! Leaving rooms and joining them again: what a client must not hear, read or say meanwhile, it tries.

use std::time::{Duration, Instant};

use bobchat_proto::wire::{self, client_frame::Request};

use super::history::fact::Fact;
use super::person::{Asked, Person, Visit};

/// How soon a request to leave or join is made again that was refused or not answered.
const AGAIN: Duration = Duration::from_millis(200);

/// How long somebody stays in a room, and out of it, in milliseconds: long enough for others to talk meanwhile.
const STAYS_MS: (usize, usize) = (400, 2_000);

/// Where a client stands in a room that it leaves and joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Inside,
    Leaving,
    Outside,
    Joining,
}

/// A room that a client leaves and joins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Door {
    side: Side,
    /// When it goes through, or asks again.
    due: Instant,
}

impl Door {
    /// A room that the client is in.
    pub(super) fn inside() -> Self {
        Self { side: Side::Inside, due: Instant::now() + AGAIN }
    }
}

impl Person {
    /// Whether it was told that it is in a room, and has not asked to leave.
    pub(super) fn is_inside(&self, room: u64) -> bool {
        self.doors.get(&room).is_none_or(|door| door.side == Side::Inside)
    }

    /// Rooms that it is not back in.
    pub(super) fn rooms_outside(&self) -> usize {
        self.doors.values().filter(|door| door.side != Side::Inside).count()
    }

    /// Whether a message is for a room that it leaves at times.
    pub(super) fn has_door(&self, number: u64) -> bool {
        self.outbox.room(number).is_some_and(|room| self.doors.contains_key(&room))
    }

    /// Goes through the doors for which it is time.
    pub(super) async fn use_doors(&mut self, visit: &mut Visit) -> anyhow::Result<()> {
        let (now, talks) = (Instant::now(), self.is_talking());
        let busy = visit.asked.values().any(|(asked, _)| !matches!(asked, Asked::Send { .. } | Asked::Peek { .. }));
        if busy {
            // What is under way would be refused, and rightly so.
            return Ok(());
        }
        let rooms: Vec<u64> = self.doors.keys().copied().collect();
        for room in rooms {
            let Some(door) = self.doors.get(&room).copied() else { continue };
            let is_due = door.due <= now || (!talks && door.side == Side::Outside);
            match door.side {
                Side::Inside if talks && is_due => {
                    self.tell(Fact::Leaving { room });
                    self.ask_at_door(visit, room, Side::Leaving).await?;
                }
                Side::Leaving if is_due => self.ask_at_door(visit, room, Side::Leaving).await?,
                Side::Outside if is_due => {
                    self.tell(Fact::Joining { room });
                    self.ask_at_door(visit, room, Side::Joining).await?;
                }
                Side::Joining if is_due => self.ask_at_door(visit, room, Side::Joining).await?,
                Side::Outside if talks && self.random.once_in(8) => {
                    let request = Request::MessageHistory(wire::MessageHistory { room, ..Default::default() });
                    visit.ask(Asked::Peek { room }, request).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn ask_at_door(&mut self, visit: &mut Visit, room: u64, side: Side) -> anyhow::Result<()> {
        self.doors.insert(room, Door { side, due: Instant::now() + AGAIN });
        match side {
            Side::Leaving => visit.ask(Asked::Leave { room }, Request::RoomLeave(wire::RoomLeave { room })).await,
            _ => visit.ask(Asked::Join { room }, Request::RoomJoin(wire::RoomJoin { room })).await,
        }
    }

    /// It was told that it is out. It says something all the same.
    pub(super) fn is_outside(&mut self, room: u64) {
        self.tell(Fact::Left { room });
        self.stands_at(room, Side::Outside);
        if self.is_talking() {
            self.say(room);
        }
    }

    /// It was told that it is in again.
    pub(super) async fn is_back(&mut self, visit: &mut Visit, room: u64) -> anyhow::Result<()> {
        self.stands_at(room, Side::Inside);
        self.subscribe(visit, room).await
    }

    /// A leaving that was never answered came about, perhaps after it was told that it is back: the stream has ended.
    pub(super) fn hears_its_leaving(&mut self, room: u64) {
        if let Some(door) = self.doors.get_mut(&room).filter(|door| door.side == Side::Inside) {
            *door = Door { side: Side::Joining, due: Instant::now() };
        }
    }

    fn stands_at(&mut self, room: u64, side: Side) {
        let (from, to) = STAYS_MS;
        let due = Instant::now() + self.random.millis(from, to);
        self.doors.insert(room, Door { side, due });
    }

    /// It got a page that it asked for from outside: up to its leaving, and not an event more.
    pub(super) fn has_peeked(&self, room: u64, messages: Vec<wire::Event>) {
        // Whoever has asked to join meanwhile may have got it as a member.
        if self.doors.get(&room).is_some_and(|door| door.side == Side::Outside) {
            self.shared.lock().tell(self.number, Fact::Peek { room }, messages);
        }
    }
}
