//! Finds where in the order of messages a seq stands, by looking at few of them.
//!
//! Pages are asked for by seq, messages are kept by ordinal. The seq of a message rises with its ordinal, by one and
//! whatever else happened in between; ordinals are dense up to where what is stored ends. So a message that was looked at says how far the wanted one can be at most, and
//! where mostly messages are said it says just where it is. Where that does not lead on, the range is halved.

use std::ops::RangeInclusive;

use bobchat_proto::ids::Sequence;

/// Messages that are read in vain rather than looking once more.
const CLOSE_ENOUGH: u64 = 32;
/// How often a look is aimed before the range is halved instead.
const AIMED: u32 = 5;

/// A message that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) ordinal: u64,
    pub(super) seq: Sequence,
}

/// Narrows down where the last message with a seq at or below `target` stands.
#[derive(Debug, Clone)]
pub(super) struct Search {
    target: Sequence,
    /// At or below the wanted message; at first what is before all of them.
    low: Mark,
    /// At or above the wanted message's ordinal.
    high: u64,
    /// Where to look next.
    aim: u64,
    looks: u32,
}

impl Search {
    /// Begins a search among messages whose seqs do not pass `seq_max`. `hint` is a message, or nearly one, that is
    /// believed to be among the last.
    pub(super) fn new(target: Sequence, seq_max: Sequence, hint: Option<Mark>) -> Self {
        let target = target.min(seq_max);
        // There is at most one message for each seq.
        let high = target.0;
        let low = Mark { ordinal: 0, seq: Sequence::ZERO };
        let aim = hint.map_or(high, |hint| aim_from(hint, target));
        Self { target, low, high, aim: aim.clamp(1, high.max(1)), looks: 0 }
    }

    /// The ordinal at or below which the next message is to be looked up, or `None` when the place is known well.
    pub(super) fn next(&self) -> Option<u64> {
        (self.high.saturating_sub(self.low.ordinal) > CLOSE_ENOUGH).then_some(self.aim)
    }

    /// The ordinals among which the wanted message is, or the one before the first.
    pub(super) fn place(&self) -> RangeInclusive<u64> {
        self.low.ordinal..=self.high
    }

    /// Takes in what the look at [`Search::next`] found: the last message from `from` up to the place looked at.
    pub(super) fn found(&mut self, from: u64, found: Option<Mark>) {
        self.looks = self.looks.saturating_add(1);
        let looked_at = self.aim;
        match found {
            None => self.high = from.saturating_sub(1).max(self.low.ordinal),
            Some(mark) if mark.seq > self.target => {
                self.high = mark.ordinal.saturating_sub(1).max(self.low.ordinal);
                self.aim_at(aim_from(mark, self.target));
                return;
            }
            Some(mark) => {
                self.low = mark;
                let farthest = mark.ordinal.saturating_add(self.target.0.saturating_sub(mark.seq.0));
                self.high = self.high.min(farthest);
                // Ordinals are dense, so where one is missing the messages end.
                if looked_at > mark.ordinal {
                    self.high = mark.ordinal;
                }
                self.aim_at(farthest);
                return;
            }
        }
        self.aim_at(self.high);
    }

    fn aim_at(&mut self, ordinal: u64) {
        let middle = self.low.ordinal.midpoint(self.high).saturating_add(1);
        let aim = if self.looks < AIMED { ordinal } else { middle };
        self.aim = aim.clamp(self.low.ordinal.saturating_add(1).min(self.high), self.high);
    }
}

/// Where a message with this seq would stand if nothing but messages lay between it and the mark.
fn aim_from(mark: Mark, target: Sequence) -> u64 {
    let (ordinal, seq) = (mark.ordinal, mark.seq.0);
    if target.0 >= seq {
        ordinal.saturating_add(target.0.saturating_sub(seq))
    } else {
        ordinal.saturating_sub(seq.saturating_sub(target.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BUCKET: u64 = 10_000;

    /// Searches as the adapter does: a look sees one bucket. Returns the place and the number of looks.
    fn search(seqs: &[u64], target: u64, seq_max: u64, hint: Option<Mark>) -> (RangeInclusive<u64>, u32) {
        let mut search = Search::new(Sequence(target), Sequence(seq_max), hint);
        let mut looks = 0;
        while let Some(ordinal) = search.next() {
            let from = ordinal / BUCKET * BUCKET;
            let last = ordinal.min(seqs.len() as u64);
            let mark = |ordinal: u64| Mark { ordinal, seq: Sequence(seqs[usize::try_from(ordinal).unwrap() - 1]) };
            search.found(from, (last >= from.max(1)).then(|| mark(last)));
            looks += 1;
            assert!(looks < 100, "{search:?}");
        }
        (search.place(), looks)
    }

    fn wanted(seqs: &[u64], target: u64) -> u64 {
        seqs.partition_point(|seq| *seq <= target) as u64
    }

    #[test]
    fn in_a_room_of_messages_few_looks_are_enough() {
        let seqs: Vec<u64> = (2..=1_000_001).collect();
        let hint = Some(Mark { ordinal: 999_900, seq: Sequence(999_901) });
        for target in [u64::MAX, 1_000_001, 900_000, 500_000, 5_000, 60, 2, 1, 0] {
            let (place, looks) = search(&seqs, target, 1_004_999, hint);
            assert!(place.contains(&wanted(&seqs, target)), "{target}: {place:?}");
            assert!(looks <= 4, "{target}: {looks} looks");
        }
    }

    #[test]
    fn in_any_room_looks_are_bounded_by_halving() {
        // One message in fifty, then nothing but messages.
        let seqs: Vec<u64> = (1..=10_000).map(|n| n * 50).chain(500_001..=600_000).collect();
        for target in (0..620_000).step_by(997) {
            let (place, looks) = search(&seqs, target, 604_999, None);
            assert!(place.contains(&wanted(&seqs, target)), "{target}: {place:?}");
            assert!(looks <= 30, "{target}: {looks} looks");
        }
    }

    proptest! {
        #[test]
        fn the_wanted_message_is_in_the_place(
            steps in proptest::collection::vec(1..60_u64, 0..3_000),
            target in 0..100_000_u64,
            hint in proptest::option::of((0..5_000_u64, 0..200_000_u64)),
            beyond in 0..5_000_u64,
        ) {
            let seqs: Vec<u64> = steps.iter().scan(0, |seq, step| { *seq += step; Some(*seq) }).collect();
            let seq_max = seqs.last().copied().unwrap_or(0) + beyond;
            let hint = hint.map(|(ordinal, seq)| Mark { ordinal, seq: Sequence(seq) });
            let (place, _) = search(&seqs, target, seq_max, hint);
            prop_assert!(place.contains(&wanted(&seqs, target)), "{place:?}");
        }
    }
}
