use bobchat_proto::ids::{Position, Sequence};
use bobchat_proto::wire;

use super::{Span, Visible, owner};

/// Whether an event is for somebody who sees `visible` of a log with these spans, oldest first.
///
/// An event that was renumbered is judged by where it stood first too (log protocol, rule 16): who joined after it was
/// said does not get to see it because it came again. That nobody sees it who left before is decided by its seq, for it
/// never comes again below the place that it had. Of a joining that was itself renumbered only the new place is known:
/// what stood between the two is not shown to who joined, unless the room shows everything.
#[must_use]
pub fn is_shown(event: &wire::Event, visible: &Visible, spans: &[Span]) -> bool {
    let seq = Sequence(event.seq);
    let Some(range) = visible.iter().find(|range| range.contains(&seq)) else { return false };
    let Some(first) = event.first.map(Position::from) else { return true };
    // A stretch begins with the joining itself, or where the room shows everything with the first event.
    let begin = *range.start();
    begin == Sequence(1)
        || begin == seq
        || owner(spans, begin).is_none_or(|epoch| Position { epoch, seq: begin } <= first)
}

#[cfg(test)]
mod tests {
    use bobchat_proto::ids::Epoch;

    use super::*;

    const SPANS: [Span; 2] = [Span::FIRST, Span { epoch: Epoch(2), base: Sequence(11) }];

    fn event(seq: u64, first: Option<(u64, u64)>) -> wire::Event {
        let first = first.map(|(epoch, seq)| wire::Position { epoch, seq });
        wire::Event { epoch: 2, seq, first, ..wire::Event::default() }
    }

    fn sees(from: u64, to: u64, event: &wire::Event) -> bool {
        is_shown(event, &vec![Sequence(from)..=Sequence(to)], &SPANS)
    }

    #[test]
    fn what_was_renumbered_is_for_those_who_were_there_when_it_was_said() {
        let again = event(14, Some((1, 12)));
        assert!(sees(10, 20, &again), "who joined before it was said");
        assert!(!sees(13, 20, &again), "who joined after it was said and before it came again");
        assert!(!sees(2, 13, &again), "who left before it came again");
        assert!(!sees(15, 20, &again), "who joined after it came again");
        assert!(sees(1, 20, &again), "whoever sees everything");
    }

    #[test]
    fn what_was_not_renumbered_is_judged_by_its_seq() {
        assert!(sees(13, 20, &event(14, None)) && !sees(15, 20, &event(14, None)));
    }

    #[test]
    fn a_joining_that_was_renumbered_is_seen_by_who_joined() {
        assert!(sees(13, 20, &event(13, Some((1, 12)))));
    }

    #[test]
    fn a_room_of_which_nothing_was_kept_still_shows_everything_to_who_may_see_it() {
        let spans = [Span::FIRST, Span { epoch: Epoch(2), base: Sequence(1) }];
        assert!(is_shown(&event(5, Some((1, 5))), &vec![Sequence(1)..=Sequence(u64::MAX)], &spans));
    }
}
