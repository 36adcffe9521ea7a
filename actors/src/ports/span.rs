// Reads what strangers send: a sum that does not fit has to be decided about.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use bobchat_proto::ids::{Epoch, Position, Sequence};

/// One unbroken run of a room's log: from `base` up to where the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// What names it.
    pub epoch: Epoch,
    /// The seq of its first event.
    pub base: Sequence,
}

impl Span {
    /// What a log begins with.
    pub const FIRST: Self = Self { epoch: Epoch::FIRST, base: Sequence(1) };
}

/// Whose event stands at a seq: the last epoch that begins at or below it (log protocol, rule 2).
#[must_use]
pub fn owner(spans: &[Span], seq: Sequence) -> Option<Epoch> {
    spans.iter().rev().find(|span| span.base <= seq).map(|span| span.epoch)
}

/// What a client's cursor is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// The client has seen the log as it is, up to this seq: it goes on from there.
    Good(Sequence),
    /// The client has seen events that the log has lost: it loads the room again.
    Lost,
    /// The log was never there: the client is in error.
    Never,
}

/// Judges a cursor by the spans of a log, oldest first, and its head (log protocol, rule 17).
///
/// A position of an older span is good below the base of the next one: up to there both tell the same.
/// An epoch below the newest that the log does not know is one whose events a restored backup never had.
#[must_use]
pub fn judge_cursor(spans: &[Span], head: Position, cursor: Position) -> Cursor {
    if cursor.seq == Sequence::ZERO {
        return Cursor::Good(Sequence::ZERO);
    }
    if cursor > head {
        return Cursor::Never;
    }
    let Some(index) = spans.iter().position(|span| span.epoch == cursor.epoch) else { return Cursor::Lost };
    match spans.get(index.saturating_add(1)) {
        Some(next) if cursor.seq >= next.base => Cursor::Lost,
        _ => Cursor::Good(cursor.seq),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u64, seq: u64) -> Position {
        Position { epoch: Epoch(epoch), seq: Sequence(seq) }
    }

    /// Rules 1 and 17.
    #[test]
    fn a_cursor_is_good_up_to_where_its_span_was_cut() {
        let spans = [Span::FIRST, Span { epoch: Epoch(7), base: Sequence(11) }];
        let judge = |cursor| judge_cursor(&spans, at(7, 20), cursor);
        assert_eq!(judge(at(1, 10)), Cursor::Good(Sequence(10)));
        assert_eq!(judge(at(1, 11)), Cursor::Lost);
        assert_eq!(judge(at(7, 11)), Cursor::Good(Sequence(11)));
        assert_eq!(judge(at(7, 20)), Cursor::Good(Sequence(20)));
        assert_eq!(judge(at(5, 3)), Cursor::Lost, "another restore's epoch");
        assert_eq!(judge(at(7, 21)), Cursor::Never);
        assert_eq!(judge(at(8, 1)), Cursor::Never);
        assert_eq!(judge(at(0, 0)), Cursor::Good(Sequence::ZERO));
    }
}
