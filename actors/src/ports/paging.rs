//! How pages are cut: the one place that says it, used by every store.

use std::iter::Peekable;
use std::ops::RangeInclusive;

use bobchat_proto::ids::Sequence;
use bobchat_proto::limits::PAGE_BYTES_MAX;
use bobchat_proto::wire;
use prost::Message as _;

use super::{Anchor, EventPage, MessagePage, Visible};

/// The last seq that stands on the older side of an anchor; everything above it is on the newer side.
#[must_use]
pub fn boundary(anchor: Anchor) -> Sequence {
    match anchor {
        Anchor::Newest => Sequence(u64::MAX),
        Anchor::Before(seq) => Sequence(seq.0.saturating_sub(1)),
        Anchor::After(seq) | Anchor::Around(seq) => seq,
    }
}

/// What of `visible` lies at or below `last`, ascending.
pub fn up_to(visible: &Visible, last: Sequence) -> impl DoubleEndedIterator<Item = RangeInclusive<Sequence>> {
    let clipped = visible.iter().map(move |range| *range.start()..=*range.end().min(&last));
    clipped.filter(|range| !range.is_empty())
}

/// What of `visible` lies above `after`, ascending.
pub fn beyond(visible: &Visible, after: Sequence) -> impl DoubleEndedIterator<Item = RangeInclusive<Sequence>> {
    let above = visible.iter().filter(move |range| *range.end() > after);
    above.map(move |range| *range.start().max(&after.next())..=*range.end())
}

/// Cuts a page of messages from the two sides of an anchor: `older` descends from its [`boundary`],
/// `newer` ascends from above it; both hold visible messages alone, and are read no farther than the page
/// and one more.
///
/// # Errors
/// The first error of a side.
pub fn message_page<E>(
    anchor: Anchor,
    limit: usize,
    older: impl Iterator<Item = Result<wire::Event, E>>,
    newer: impl Iterator<Item = Result<wire::Event, E>>,
) -> Result<MessagePage, E> {
    let (mut older, mut newer) = (older.peekable(), newer.peekable());
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut budget = Budget::new(limit);
    loop {
        let from_older = match anchor {
            Anchor::Newest | Anchor::Before(_) => true,
            Anchor::After(_) => false,
            // The page grows evenly to both sides, and where one ends to the other.
            Anchor::Around(_) if newer.peek().is_none() => true,
            Anchor::Around(_) => older.peek().is_some() && before.len() <= after.len(),
        };
        let next = if from_older { budget.next(&mut older) } else { budget.next(&mut newer) };
        match next {
            Some(event) if from_older => before.push(event?),
            Some(event) => after.push(event?),
            None => break,
        }
    }
    let messages = before.into_iter().rev().chain(after).collect();
    Ok(MessagePage { messages, has_more_before: has_more(older)?, has_more_after: has_more(newer)? })
}

/// Cuts a page of events from visible ones in ascending order, read no farther than the page and one more.
///
/// # Errors
/// The first error of `events`.
pub fn event_page<E>(limit: usize, events: impl Iterator<Item = Result<wire::Event, E>>) -> Result<EventPage, E> {
    let mut events = events.peekable();
    let mut budget = Budget::new(limit);
    let mut page = Vec::new();
    while let Some(event) = budget.next(&mut events) {
        page.push(event?);
    }
    Ok(EventPage { events: page, has_more: has_more(events)? })
}

fn has_more<E>(mut rest: impl Iterator<Item = Result<wire::Event, E>>) -> Result<bool, E> {
    Ok(rest.next().transpose()?.is_some())
}

/// What still fits a page.
struct Budget {
    items: usize,
    /// `None` until the first item, which always fits.
    bytes: Option<usize>,
}

impl Budget {
    fn new(items: usize) -> Self {
        Self { items, bytes: None }
    }

    fn next<E>(
        &mut self,
        events: &mut Peekable<impl Iterator<Item = Result<wire::Event, E>>>,
    ) -> Option<Result<wire::Event, E>> {
        events.next_if(|next| next.as_ref().map_or(true, |event| self.take(event)))
    }

    fn take(&mut self, event: &wire::Event) -> bool {
        let left = self.bytes.unwrap_or(PAGE_BYTES_MAX).checked_sub(event.encoded_len());
        if self.items == 0 || (self.bytes.is_some() && left.is_none()) {
            return false;
        }
        self.items = self.items.saturating_sub(1);
        self.bytes = Some(left.unwrap_or(0));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bobchat_proto::wire::event::Body;
    use std::convert::Infallible;

    fn message(seq: u64, bytes: usize) -> wire::Event {
        let body = Body::Message(wire::Message { text: "x".repeat(bytes) });
        wire::Event { seq, body: Some(body), ..wire::Event::default() }
    }

    fn page(anchor: Anchor, limit: usize, seqs: RangeInclusive<u64>, bytes: usize) -> MessagePage {
        let side = |older: bool| {
            let boundary = boundary(anchor).0;
            seqs.clone().filter(move |seq| (*seq <= boundary) == older).map(move |seq| message(seq, bytes))
        };
        let older = side(true).collect::<Vec<_>>().into_iter().rev().map(Ok::<_, Infallible>);
        message_page(anchor, limit, older, side(false).map(Ok)).unwrap()
    }

    fn seqs(page: &MessagePage) -> Vec<u64> {
        page.messages.iter().map(|event| event.seq).collect()
    }

    #[test]
    fn a_page_around_takes_from_one_side_what_the_other_lacks() {
        assert_eq!(seqs(&page(Anchor::Around(Sequence(5)), 4, 1..=9, 1)), [4, 5, 6, 7]);
        assert_eq!(seqs(&page(Anchor::Around(Sequence(5)), 5, 1..=9, 1)), [3, 4, 5, 6, 7]);
        assert_eq!(seqs(&page(Anchor::Around(Sequence(1)), 4, 1..=9, 1)), [1, 2, 3, 4]);
        assert_eq!(seqs(&page(Anchor::Around(Sequence(9)), 4, 1..=9, 1)), [6, 7, 8, 9]);
    }

    #[test]
    fn a_page_ends_before_it_passes_its_bytes_but_not_before_its_first_item() {
        let newest = page(Anchor::Newest, 100, 1..=5, PAGE_BYTES_MAX / 2 - 100);
        assert_eq!(seqs(&newest), [4, 5]);
        assert!(newest.has_more_before && !newest.has_more_after);
        assert_eq!(seqs(&page(Anchor::Newest, 100, 1..=5, PAGE_BYTES_MAX * 2)), [5]);
    }

    #[test]
    fn ranges_are_clipped_at_a_boundary() {
        let visible: Visible = vec![Sequence(2)..=Sequence(4), Sequence(8)..=Sequence(9)];
        let below: Vec<_> = up_to(&visible, Sequence(8)).collect();
        assert_eq!(below, [Sequence(2)..=Sequence(4), Sequence(8)..=Sequence(8)]);
        let above: Vec<_> = beyond(&visible, Sequence(4)).collect();
        assert_eq!(above, [Sequence(8)..=Sequence(9)]);
        assert_eq!(beyond(&visible, Sequence(u64::MAX)).count(), 0);
    }
}
