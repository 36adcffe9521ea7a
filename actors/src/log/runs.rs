use std::collections::{BTreeMap, HashSet};

use bobchat_proto::ids::{Epoch, Position, Sequence};
use bobchat_proto::wire;

use super::Plant;
use crate::ports::projection::advance;
use crate::ports::{Head, LogRow, StoredEvent, StoredKey};
use crate::room::body_hash;

/// Stored rows by place: orphans stand beside the events that own their seq.
pub(super) type Rows = BTreeMap<(Sequence, Epoch), StoredEvent>;

/// The form in which an event is stored.
pub(crate) fn as_stored(event: wire::Event) -> StoredEvent {
    let body_hash = event.body.as_ref().map_or(0, body_hash);
    StoredEvent { event, body_hash, renumbered: false }
}

/// The head of what is stored and owned without a hole, over all spans, from a head on that is known to be
/// (rule 14 d).
pub(super) fn contiguous(row: &LogRow, from: Head, rows: &Rows) -> Head {
    let mut head = from;
    while let Some(stored) = owned_row(row, rows, head.position.seq.next()) {
        head = advance(head, &stored.event);
    }
    if Plant::HighestBase.is_planted() {
        let owned = rows.values().filter(|stored| row.owns(stored.event.position()));
        return owned
            .filter(|stored| stored.event.seq > head.position.seq.0)
            .fold(head, |head, s| advance(head, &s.event));
    }
    head
}

fn owned_row<'a>(row: &LogRow, rows: &'a Rows, seq: Sequence) -> Option<&'a StoredEvent> {
    rows.get(&(seq, row.owner(seq)?))
}

/// What is stored and does not belong to the log that ends at `end`, in the order of the old positions, each
/// key once (rule 14 d). What stands in a newer epoch already is left out.
pub(super) fn orphans(row: &LogRow, end: Sequence, rows: &Rows) -> Vec<StoredEvent> {
    let belongs = |stored: &StoredEvent| stored.event.seq <= end.0 && row.owns(stored.event.position());
    let mut left: Vec<StoredEvent> = rows.values().filter(|s| !s.renumbered && !belongs(s)).cloned().collect();
    left.sort_by_key(|stored| stored.event.position());
    let mut seen = HashSet::new();
    left.retain(|stored| match stored.event.key.clone() {
        Some(key) => seen.insert((stored.event.author, key)),
        None => true,
    });
    left
}

/// Whether a key stands for an event of the log that ends at `end`: all of that is stored.
pub(super) fn is_used(row: &LogRow, end: Sequence, uses: &[StoredKey]) -> bool {
    uses.iter().any(|used| used.position.seq <= end && row.owns(used.position))
}

/// Whether an event at this position is stored for good: owned, and no later epoch can begin below it any more
/// (rule 11).
pub(super) fn is_settled(row: &LogRow, position: Position) -> bool {
    row.owns(position) && row.spans.last().is_some_and(|last| last.epoch > position.epoch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Raiser, Span};

    fn row(spans: &[(u64, u64)]) -> LogRow {
        let spans: Vec<Span> =
            spans.iter().map(|(epoch, base)| Span { epoch: Epoch(*epoch), base: Sequence(*base) }).collect();
        LogRow { epoch: Epoch(9), raiser: Raiser(1), spans, deleted: false, opened_at: None }
    }

    fn rows(places: &[(u64, u64, &str)]) -> Rows {
        let stored = places.iter().map(|(epoch, seq, key)| {
            let key = Some((*key).to_owned());
            let event = wire::Event { epoch: *epoch, seq: *seq, key, ..wire::Event::default() };
            ((Sequence(*seq), Epoch(*epoch)), as_stored(event))
        });
        stored.collect()
    }

    #[test]
    fn what_is_owned_ends_at_the_first_hole() {
        let rows = rows(&[(1, 1, "a"), (1, 2, "b"), (1, 3, "lost"), (2, 3, "c"), (2, 5, "e")]);
        let end = |spans: &[(u64, u64)]| contiguous(&row(spans), Head::default(), &rows).position;
        assert_eq!(end(&[(1, 1), (2, 3)]), Position { epoch: Epoch(2), seq: Sequence(3) });
        assert_eq!(end(&[(1, 1)]), Position { epoch: Epoch(1), seq: Sequence(3) });
        assert_eq!(end(&[(1, 1), (2, 2)]).seq, Sequence(1), "the owner of 2 has no row there");
    }

    #[test]
    fn orphans_come_in_their_old_order_and_each_key_once() {
        let mut rows = rows(&[(1, 1, "a"), (1, 2, "b"), (1, 4, "d"), (3, 2, "d"), (2, 2, "x")]);
        rows.get_mut(&(Sequence(2), Epoch(2))).unwrap().renumbered = true;
        let left = orphans(&row(&[(1, 1)]), Sequence(1), &rows);
        let places: Vec<_> = left.iter().map(|stored| (stored.event.epoch, stored.event.seq)).collect();
        assert_eq!(places, [(1, 2), (1, 4)], "the copy of d is not another d, and x was renumbered");
    }

    #[test]
    fn a_key_is_used_where_its_position_is_owned_and_below_the_end() {
        let row = row(&[(1, 1), (2, 3)]);
        let used = |epoch, seq| {
            let position = Position { epoch: Epoch(epoch), seq: Sequence(seq) };
            is_used(&row, Sequence(4), &[StoredKey { position, body_hash: 0 }])
        };
        assert!(used(1, 2) && used(2, 3));
        assert!(!used(1, 3), "an orphan");
        assert!(!used(2, 5), "behind the end");
    }

    #[test]
    fn a_position_is_settled_once_a_later_epoch_begins_above_it() {
        let at = |epoch, seq| Position { epoch: Epoch(epoch), seq: Sequence(seq) };
        assert!(!is_settled(&row(&[(1, 1)]), at(1, 2)), "its epoch may still lose it");
        assert!(is_settled(&row(&[(1, 1), (2, 3)]), at(1, 2)));
        assert!(!is_settled(&row(&[(1, 1), (2, 3)]), at(1, 3)));
    }
}
