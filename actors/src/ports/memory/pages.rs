//! Pages of a room whose events are all in memory.

use std::convert::Infallible;

use bobchat_proto::ids::Sequence;
use bobchat_proto::wire::{self, event::Body};

use crate::ports::paging::{boundary, event_page, message_page};
use crate::ports::{Anchor, EventPage, MessagePage, Visible};

/// A page of the messages among `events`, which ascend.
pub(super) fn messages<'a>(
    events: impl Iterator<Item = &'a wire::Event>,
    anchor: Anchor,
    limit: usize,
    visible: &Visible,
) -> MessagePage {
    let is_message = |event: &&wire::Event| matches!(event.body, Some(Body::Message(_)));
    let messages: Vec<_> = shown(events, visible).filter(is_message).collect();
    let (older, newer) = messages.split_at(messages.partition_point(|event| event.seq <= boundary(anchor).0));
    message_page(anchor, limit, older.iter().rev().copied().map(whole), newer.iter().copied().map(whole))
        .unwrap_or_else(|never| match never {})
}

/// A page of `events`, which ascend, above a seq.
pub(super) fn events<'a>(
    events: impl Iterator<Item = &'a wire::Event>,
    after: Sequence,
    limit: usize,
    visible: &Visible,
) -> EventPage {
    let newer = shown(events, visible).filter(|event| event.seq > after.0);
    event_page(limit, newer.map(whole)).unwrap_or_else(|never| match never {})
}

fn shown<'a>(
    events: impl Iterator<Item = &'a wire::Event>,
    visible: &Visible,
) -> impl Iterator<Item = &'a wire::Event> {
    events.filter(|event| visible.iter().any(|range| range.contains(&Sequence(event.seq))))
}

fn whole(event: &wire::Event) -> Result<wire::Event, Infallible> {
    Ok(event.clone())
}
