//! Pages of what is stored and of what is not yet: one page of both (rule 26). Pure.

use std::collections::BTreeMap;
use std::convert::Infallible;

use bobchat_proto::wire::{self, event::Body};

use crate::ports::paging::{boundary, event_page, message_page};
use crate::ports::{Anchor, EventPage, MessagePage, Span, Visible, is_shown};

/// What a reader may see.
pub(super) struct Shown {
    pub(super) visible: Visible,
    /// The runs of the log, oldest first.
    pub(super) spans: Vec<Span>,
}

impl Shown {
    fn shows(&self, event: &wire::Event) -> bool {
        is_shown(event, &self.visible, &self.spans)
    }
}

/// Makes one page of messages of a page of what is stored, read for the same anchor and limit, and of everything above
/// what was known to be stored before that was read.
///
/// Where the stored page leaves something out, nothing of the tail counts that lies beyond it.
pub(super) fn merge_messages(
    anchor: Anchor,
    limit: usize,
    shown: &Shown,
    stored: MessagePage,
    tail: Vec<wire::Event>,
) -> MessagePage {
    let boundary = boundary(anchor).0;
    let (takes_older, takes_newer) = (!matches!(anchor, Anchor::After(_)), !matches!(anchor, Anchor::Before(_)));
    let first = stored.messages.first().filter(|_| takes_older && stored.has_more_before);
    let lowest = first.map_or(0, |first| first.seq.min(boundary.saturating_add(1)));
    let last = stored.messages.last().filter(|_| takes_newer && stored.has_more_after);
    let highest = last.map_or(u64::MAX, |last| last.seq.max(boundary));
    let wanted = |event: &wire::Event| is_message(event) && (lowest..=highest).contains(&event.seq);
    let all = union(stored.messages, tail.into_iter().filter(wanted), shown);
    let older = all.range(..=boundary).rev().map(|(_, event)| Ok::<_, Infallible>(event.clone()));
    let newer = boundary.checked_add(1).into_iter().flat_map(|above| all.range(above..));
    let page = message_page(anchor, limit, older, newer.map(|(_, event)| Ok(event.clone())));
    let page = page.unwrap_or_else(|never| match never {});
    MessagePage {
        has_more_before: page.has_more_before || stored.has_more_before,
        has_more_after: page.has_more_after || stored.has_more_after,
        ..page
    }
}

/// The same for events above a seq.
pub(super) fn merge_events(limit: usize, shown: &Shown, stored: EventPage, tail: Vec<wire::Event>) -> EventPage {
    let highest = stored.events.last().filter(|_| stored.has_more).map_or(u64::MAX, |last| last.seq);
    let all = union(stored.events, tail.into_iter().filter(|event| event.seq <= highest), shown);
    let page = event_page(limit, all.into_values().map(Ok::<_, Infallible>)).unwrap_or_else(|never| match never {});
    EventPage { has_more: page.has_more || stored.has_more, ..page }
}

/// Each seq once. What is stored stands for what the live log has, for it may have been taken back since (rule 22);
/// of two epochs the newer one owns the seq (rule 21).
fn union(
    stored: Vec<wire::Event>,
    tail: impl Iterator<Item = wire::Event>,
    shown: &Shown,
) -> BTreeMap<u64, wire::Event> {
    let mut all = BTreeMap::new();
    for event in tail.chain(stored).filter(|event| shown.shows(event)) {
        let place = all.entry(event.seq).or_insert_with(|| event.clone());
        if place.epoch <= event.epoch {
            *place = event;
        }
    }
    all
}

fn is_message(event: &wire::Event) -> bool {
    matches!(event.body, Some(Body::Message(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bobchat_proto::ids::{Epoch, Sequence};
    use bobchat_proto::limits::PAGE_BYTES_MAX;
    use proptest::prelude::*;

    fn message(seq: u64, bytes: usize) -> wire::Event {
        let body = Body::Message(wire::Message { text: "x".repeat(bytes) });
        wire::Event { epoch: 1, seq, body: Some(body), ..wire::Event::default() }
    }

    fn all(visible: &Visible) -> Shown {
        Shown { visible: visible.clone(), spans: vec![Span::FIRST] }
    }

    #[test]
    fn what_was_renumbered_is_for_those_who_were_there_when_it_was_said() {
        let spans = vec![Span::FIRST, Span { epoch: Epoch(2), base: Sequence(11) }];
        let first = Some(bobchat_proto::wire::Position { epoch: 1, seq: 12 });
        let again = wire::Event { epoch: 2, first, ..message(14, 1) };
        for (from, sees) in [(10, true), (13, false)] {
            let shown = Shown { visible: vec![Sequence(from)..=Sequence(20)], spans: spans.clone() };
            let stored = |messages| MessagePage { messages, ..MessagePage::default() };
            let in_tail = merge_messages(Anchor::Newest, 9, &shown, stored(vec![]), vec![again.clone()]);
            let in_store = merge_messages(Anchor::Newest, 9, &shown, stored(vec![again.clone()]), vec![]);
            assert_eq!((!in_tail.messages.is_empty(), !in_store.messages.is_empty()), (sees, sees), "from {from}");
        }
    }

    fn joined(seq: u64) -> wire::Event {
        wire::Event {
            epoch: 1,
            seq,
            body: Some(Body::Joined(wire::MemberJoined { user: 5 })),
            ..wire::Event::default()
        }
    }

    fn seen<'a>(events: &'a [wire::Event], visible: &'a Visible) -> impl DoubleEndedIterator<Item = &'a wire::Event> {
        events.iter().filter(|event| visible.iter().any(|range| range.contains(&Sequence(event.seq))))
    }

    fn page_of(events: &[wire::Event], anchor: Anchor, limit: usize, visible: &Visible) -> MessagePage {
        let boundary = boundary(anchor).0;
        let messages: Vec<_> = seen(events, visible).filter(|event| is_message(event)).cloned().collect();
        let older = messages.iter().rev().filter(|event| event.seq <= boundary).cloned().map(Ok::<_, Infallible>);
        let newer = messages.iter().filter(|event| event.seq > boundary).cloned().map(Ok);
        message_page(anchor, limit, older, newer).unwrap()
    }

    fn events_of(events: &[wire::Event], after: u64, limit: usize, visible: &Visible) -> EventPage {
        let above = seen(events, visible).filter(|event| event.seq > after).cloned();
        event_page(limit, above.map(Ok::<_, Infallible>)).unwrap()
    }

    /// A log of 40 events, of which some up to `archived` are let go of by the live log, and some above it are stored
    /// all the same.
    #[derive(Debug)]
    struct Log {
        events: Vec<wire::Event>,
        stored: Vec<wire::Event>,
        tail: Vec<wire::Event>,
    }

    fn logs() -> impl Strategy<Value = Log> {
        let kinds = proptest::collection::vec((0..4_u8, any::<bool>()), 40);
        (kinds, 0..=40_u64).prop_map(|(kinds, archived)| {
            let seqs = 1..=40_u64;
            let event = |(seq, (kind, _)): (u64, &(u8, bool))| if *kind == 0 { joined(seq) } else { message(seq, 10) };
            let events: Vec<_> = seqs.zip(&kinds).map(event).collect();
            let is_stored = |event: &&wire::Event| {
                let early = kinds.get(usize::try_from(event.seq).unwrap() - 1).is_some_and(|(_, early)| *early);
                event.seq <= archived || early
            };
            let stored = events.iter().filter(is_stored).cloned().collect();
            let tail = events.iter().filter(|event| event.seq > archived).cloned().collect();
            Log { events, stored, tail }
        })
    }

    fn anchors() -> impl Strategy<Value = Anchor> {
        (0..4, 0..=42_u64).prop_map(|(kind, seq)| match kind {
            0 => Anchor::Newest,
            1 => Anchor::Before(Sequence(seq)),
            2 => Anchor::After(Sequence(seq)),
            _ => Anchor::Around(Sequence(seq)),
        })
    }

    proptest! {
        #[test]
        fn a_page_of_both_is_the_page_of_the_whole(log in logs(), anchor in anchors(), limit in 1..60_usize, from in 1..30_u64) {
            for visible in [vec![Sequence(1)..=Sequence(u64::MAX)], vec![Sequence(from)..=Sequence(from + 9)]] {
                let stored = page_of(&log.stored, anchor, limit, &visible);
                let page = merge_messages(anchor, limit, &all(&visible), stored, log.tail.clone());
                prop_assert_eq!(page, page_of(&log.events, anchor, limit, &visible));
            }
        }

        #[test]
        fn events_of_both_are_the_events_of_the_whole(log in logs(), after in 0..42_u64, limit in 1..60_usize) {
            let visible = vec![Sequence(1)..=Sequence(u64::MAX)];
            let stored = events_of(&log.stored, after, limit, &visible);
            let tail: Vec<_> = log.tail.iter().filter(|event| event.seq > after).cloned().collect();
            prop_assert_eq!(merge_events(limit, &all(&visible), stored, tail), events_of(&log.events, after, limit, &visible));
        }
    }

    #[test]
    fn nothing_of_the_tail_fills_a_stored_page_that_ended_at_its_bytes() {
        let large = PAGE_BYTES_MAX / 2 - 100;
        let stored: Vec<_> = (1..=5).map(|seq| message(seq, large)).collect();
        let everything = vec![Sequence(1)..=Sequence(u64::MAX)];
        let anchor = Anchor::After(Sequence(0));
        let page = page_of(&stored, anchor, 50, &everything);
        let merged = merge_messages(anchor, 50, &all(&everything), page, vec![message(6, 1)]);
        assert_eq!(merged.messages.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2]);
        assert!(merged.has_more_after && !merged.has_more_before);
    }

    /// Rules 21 and 22.
    #[test]
    fn the_newer_epoch_owns_a_seq_and_what_is_stored_stands_for_the_rest() {
        let at = |epoch, seq, text: &str| wire::Event {
            epoch,
            body: Some(Body::Message(wire::Message { text: text.to_owned() })),
            ..message(seq, 0)
        };
        let stored =
            MessagePage { messages: vec![at(1, 1, "taken back"), at(2, 2, "newer")], ..MessagePage::default() };
        let tail = vec![at(1, 1, "secret"), at(1, 2, "lost"), at(1, 3, "new")];
        let everything = vec![Sequence(1)..=Sequence(u64::MAX)];
        let merged = merge_messages(Anchor::Newest, 50, &all(&everything), stored, tail);
        assert_eq!(merged.messages, [at(1, 1, "taken back"), at(2, 2, "newer"), at(1, 3, "new")]);
    }
}
