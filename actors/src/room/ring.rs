use std::collections::VecDeque;

use bobchat_proto::ids::Sequence;
use bobchat_proto::wire;
use prost::Message as _;

/// Events kept for those who are a little behind. A burst of a second in a busy room; farther behind, the
/// log is read.
const EVENTS_MAX: usize = 512;

/// Bytes of events kept, in their protobuf form: the room's share of memory.
const BYTES_MAX: usize = 256 * 1024;

/// The newest events of a room, without a hole up to the applied position.
#[derive(Debug)]
pub(super) struct Ring {
    events: VecDeque<wire::Event>,
    bytes: usize,
    /// The seq that the first event follows: what somebody must have seen to go on from here.
    base: Sequence,
}

impl Ring {
    /// A ring that holds nothing, in a room applied up to `applied`.
    pub(super) fn new(applied: Sequence) -> Self {
        Self { events: VecDeque::new(), bytes: 0, base: applied }
    }

    /// Keeps the event that follows.
    pub(super) fn push(&mut self, event: wire::Event) {
        self.bytes += event.encoded_len();
        self.events.push_back(event);
        while self.events.len() > EVENTS_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.encoded_len();
            self.base = Sequence(oldest.seq);
        }
    }

    /// All events that are held, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &wire::Event> {
        self.events.iter()
    }

    /// The same, at its end.
    pub(super) fn into_events(self) -> impl Iterator<Item = wire::Event> {
        self.events.into_iter()
    }

    /// The events after `seq`; `None` when some of them are not held any more.
    pub(super) fn after(&self, seq: Sequence) -> Option<impl Iterator<Item = &wire::Event>> {
        let skipped = usize::try_from(seq.0.checked_sub(self.base.0)?).ok()?;
        Some(self.events.iter().skip(skipped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: u64) -> wire::Event {
        wire::Event { seq, ..wire::Event::default() }
    }

    #[test]
    fn the_ring_gives_what_follows_or_says_that_it_cannot() {
        let mut ring = Ring::new(Sequence(10));
        (11..=12).for_each(|seq| ring.push(event(seq)));
        let after = |seq| ring.after(Sequence(seq)).map(|events| events.map(|event| event.seq).collect::<Vec<_>>());
        assert_eq!(after(10), Some(vec![11, 12]));
        assert_eq!(after(12), Some(vec![]));
        assert_eq!(after(9), None);
    }

    #[test]
    fn the_oldest_events_make_room() {
        let mut ring = Ring::new(Sequence(0));
        (1..=EVENTS_MAX as u64 + 3).for_each(|seq| ring.push(event(seq)));
        assert!(ring.after(Sequence(2)).is_none());
        assert_eq!(ring.after(Sequence(3)).map(Iterator::count), Some(EVENTS_MAX));
    }
}
