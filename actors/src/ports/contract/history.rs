use bobchat_proto::ids::{RoomId, Sequence};
use bobchat_proto::limits::{MESSAGE_BYTES_MAX, PAGE_BYTES_MAX};
use bobchat_proto::wire::{self, event::Body};
use prost::Message as _;

use super::scenario::{Room, joined, message, room};
use super::{Make, Subject};
use crate::ports::{Anchor, History, MessagePage, Visible};

/// Checks what [`History`] promises.
pub async fn history(make: Make<'_>) {
    every_page_is_exact(make()).await;
    every_stretch_of_events_is_exact(make()).await;
    pages_end_at_their_bytes(make()).await;
    a_room_that_is_not_there_has_no_past(make()).await;
}

/// A small room in which messages and other events alternate unevenly, with one elsewhere.
async fn uneven(subject: &mut Box<dyn Subject>) -> (RoomId, Vec<wire::Event>) {
    let (id, events) = {
        let stores = subject.stores();
        let (room, other) = (Room::create(&stores, 7, "seven").await, Room::create(&stores, 8, "eight").await);
        for number in 2..=14 {
            let body = if [2, 5, 6, 7, 13].contains(&number) { joined(number) } else { message("text") };
            room.add(1, body).await;
            other.say(1, "elsewhere").await;
        }
        (room.id, room.tail().await)
    };
    subject.reopen();
    (id, events)
}

fn visibilities() -> [Visible; 6] {
    let range = |from, to| Sequence(from)..=Sequence(to);
    [
        vec![range(1, u64::MAX)],
        vec![range(3, 9)],
        vec![range(2, 3), range(5, 8), range(11, 14)],
        vec![range(5, 7)],
        vec![range(100, u64::MAX)],
        vec![],
    ]
}

fn is_visible(visible: &Visible, seq: u64) -> bool {
    visible.iter().any(|range| range.contains(&Sequence(seq)))
}

async fn every_page_is_exact(mut subject: Box<dyn Subject>) {
    let (room, events) = uneven(&mut subject).await;
    let history = subject.stores().history;
    for visible in visibilities() {
        let is_message = |event: &&wire::Event| matches!(event.body, Some(Body::Message(_)));
        let messages: Vec<_> = events.iter().filter(is_message).filter(|e| is_visible(&visible, e.seq)).collect();
        let seqs = (0..=16).map(Sequence);
        let anchors = seqs.flat_map(|seq| [Anchor::Before(seq), Anchor::After(seq), Anchor::Around(seq)]);
        for anchor in anchors.chain([Anchor::Newest]) {
            for limit in [1, 2, 3, 5, 50] {
                let page = history.page(room, anchor, limit, &visible).await.expect("the page is read");
                assert_eq!(page, expected(&messages, anchor, limit), "{anchor:?}, {limit}, {visible:?}");
            }
        }
    }
}

/// The page by its definition, over all messages that are visible.
fn expected(messages: &[&wire::Event], anchor: Anchor, limit: usize) -> MessagePage {
    let split = match anchor {
        Anchor::Newest => messages.len(),
        Anchor::Before(seq) => messages.partition_point(|event| event.seq < seq.0),
        Anchor::After(seq) | Anchor::Around(seq) => messages.partition_point(|event| event.seq <= seq.0),
    };
    let (older, newer) = (split, messages.len() - split);
    let (before, after) = match anchor {
        Anchor::Newest | Anchor::Before(_) => (limit.min(older), 0),
        Anchor::After(_) => (0, limit.min(newer)),
        Anchor::Around(_) => {
            let after = newer.min((limit / 2).max(limit.saturating_sub(older)));
            (older.min(limit - after), after)
        }
    };
    MessagePage {
        messages: messages[split - before..split + after].iter().map(|event| (*event).clone()).collect(),
        has_more_before: before < older,
        has_more_after: after < newer,
    }
}

async fn every_stretch_of_events_is_exact(mut subject: Box<dyn Subject>) {
    let (room, events) = uneven(&mut subject).await;
    let history = subject.stores().history;
    for visible in visibilities() {
        for (after, limit) in (0..=16).flat_map(|after| [1, 2, 5, 50].map(|limit| (after, limit))) {
            let page = history.events(room, Sequence(after), limit, &visible).await.expect("the page is read");
            let all = events.iter().filter(|event| event.seq > after && is_visible(&visible, event.seq));
            let expected: Vec<_> = all.clone().take(limit).cloned().collect();
            assert_eq!(page.events, expected, "after {after}, {limit}, {visible:?}");
            assert_eq!(page.has_more, all.count() > limit, "after {after}, {limit}, {visible:?}");
        }
    }
}

async fn pages_end_at_their_bytes(subject: Box<dyn Subject>) {
    let stores = subject.stores();
    let (room, everything) = (Room::create(&stores, 7, "seven").await, vec![Sequence(1)..=Sequence(u64::MAX)]);
    let text = "x".repeat(MESSAGE_BYTES_MAX);
    for _ in 0..40 {
        room.say(1, &text).await;
    }
    let mut walked = Vec::new();
    let mut anchor = Anchor::Newest;
    loop {
        let page = page(&*stores.history, room.id, anchor, &everything).await;
        let bytes: usize = page.messages.iter().map(wire::Event::encoded_len).sum();
        assert!(bytes <= PAGE_BYTES_MAX && bytes + 2 * text.len() > PAGE_BYTES_MAX || !page.has_more_before);
        anchor = Anchor::Before(Sequence(page.messages[0].seq));
        walked.splice(0..0, page.messages.iter().map(|event| event.seq));
        if !page.has_more_before {
            break;
        }
    }
    assert!(walked.into_iter().eq(2..=41), "page by page, everything once");
    let events = stores.history.events(room.id, Sequence(1), 200, &everything).await.expect("the page is read");
    assert!(events.has_more && events.events.iter().map(wire::Event::encoded_len).sum::<usize>() <= PAGE_BYTES_MAX);
    let around = page(&*stores.history, room.id, Anchor::Around(Sequence(20)), &everything).await;
    assert!(around.messages.iter().any(|event| event.seq == 20) && around.has_more_before && around.has_more_after);
}

async fn page(history: &dyn History, room: RoomId, anchor: Anchor, visible: &Visible) -> MessagePage {
    history.page(room, anchor, 200, visible).await.expect("the page is read")
}

async fn a_room_that_is_not_there_has_no_past(subject: Box<dyn Subject>) {
    let history = subject.stores().history;
    let everything = vec![Sequence(1)..=Sequence(u64::MAX)];
    assert_eq!(page(&*history, room(9), Anchor::Newest, &everything).await, MessagePage::default());
    let events = history.events(room(9), Sequence::ZERO, 10, &everything).await.expect("the page is read");
    assert!(events.events.is_empty() && !events.has_more);
}
