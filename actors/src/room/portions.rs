//! What is written at once to those who receive a room (log protocol, rule 28). Pure.

use std::collections::HashSet;
use std::sync::Arc;

use bobchat_proto::ids::UserId;
use bobchat_proto::wire::{self, event::Body};

use super::RoomState;
use crate::hub::HiddenFrom;

/// Events that follow one another, which the same people may see.
#[derive(Debug, PartialEq)]
pub(super) struct Portion {
    pub(super) events: Vec<wire::Event>,
    /// Who receives the room and does not get them.
    pub(super) hidden_from: HiddenFrom,
    /// Who leaves with the last of them: gets it, and nothing after it.
    pub(super) removed: Option<UserId>,
}

/// Cuts events into portions for `users`, who receive the room; `state` is that of the room with all of them applied.
/// Nearly always one.
pub(super) fn portions<'a>(
    state: &'a RoomState,
    users: impl Iterator<Item = UserId> + Clone + 'a,
    events: Vec<wire::Event>,
) -> impl Iterator<Item = Portion> + 'a {
    let mut events = events.into_iter().peekable();
    let hidden = move |event: &wire::Event| hidden_from(state, users.clone(), event);
    std::iter::from_fn(move || {
        let first = events.next()?;
        let (hidden_from, mut removed) = (hidden(&first), left_user(&first));
        let mut portion = vec![first];
        while removed.is_none()
            && let Some(next) = events.next_if(|next| hidden(next) == hidden_from)
        {
            removed = left_user(&next);
            portion.push(next);
        }
        Some(Portion { events: portion, hidden_from, removed })
    })
}

fn hidden_from(state: &RoomState, users: impl Iterator<Item = UserId>, event: &wire::Event) -> HiddenFrom {
    // Whoever receives the room is a member, and was one when this was said, unless it was said elsewhere before.
    event.first?;
    let hidden: HashSet<_, _> = users.filter(|user| !state.shows(*user, event)).collect();
    (!hidden.is_empty()).then(|| Arc::new(hidden))
}

fn left_user(event: &wire::Event) -> Option<UserId> {
    match &event.body {
        Some(Body::Left(left)) => UserId::new(left.user).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bobchat_proto::ids::{Epoch, Position, RoomId, Sequence};

    use super::*;
    use crate::ports::{Head, Span};

    fn user(raw: u64) -> UserId {
        UserId::new(raw).unwrap()
    }

    fn event(seq: u64, body: Body) -> wire::Event {
        wire::Event { epoch: 2, seq, author: 1, body: Some(body), ..wire::Event::default() }
    }

    fn joined(seq: u64, user: u64) -> wire::Event {
        event(seq, Body::Joined(wire::MemberJoined { user }))
    }

    fn left(seq: u64, user: u64) -> wire::Event {
        event(seq, Body::Left(wire::MemberLeft { user }))
    }

    fn said(seq: u64, first: Option<u64>) -> wire::Event {
        let first = first.map(|seq| wire::Position { epoch: 1, seq });
        wire::Event { first, ..event(seq, Body::Message(wire::Message::default())) }
    }

    /// A room that shows nothing of the past: user 1 made it, user 2 joined under the second epoch.
    fn room(events: &[wire::Event]) -> RoomState {
        let head = Head { position: Position { epoch: Epoch(2), seq: Sequence::ZERO }, ..Head::default() };
        let mut state = RoomState::empty(RoomId::new(7).unwrap(), head);
        state.spans = vec![Span::FIRST, Span { epoch: Epoch(2), base: Sequence(2) }];
        let settings =
            wire::RoomSettings { history: wire::HistoryVisibility::FromJoin as i32, ..wire::RoomSettings::default() };
        let created = Body::Created(wire::RoomCreated { settings: Some(settings) });
        state.apply(&wire::Event { epoch: 1, ..event(1, created) });
        for event in events {
            state.apply(event);
        }
        state
    }

    fn cut(events: Vec<wire::Event>) -> Vec<(Vec<u64>, Vec<UserId>, Option<UserId>)> {
        let mut state = room(&[joined(2, 2)]);
        for event in &events {
            state.apply(event);
        }
        let portions = portions(&state, [user(1), user(2)].into_iter(), events);
        portions
            .map(|Portion { events, hidden_from, removed }| {
                let hidden = hidden_from.iter().flat_map(|hidden| hidden.iter().copied()).collect();
                (events.iter().map(|event| event.seq).collect(), hidden, removed)
            })
            .collect()
    }

    #[test]
    fn what_everybody_may_see_is_one_portion() {
        assert_eq!(cut(vec![said(3, None), said(4, None)]), [(vec![3, 4], vec![], None)]);
        assert!(cut(vec![]).is_empty());
    }

    /// Rule 16.
    #[test]
    fn what_comes_again_is_kept_from_who_was_not_there_when_it_was_said() {
        let events = vec![said(3, None), said(4, Some(5)), said(5, Some(6)), said(6, None)];
        let expected = [(vec![3], vec![], None), (vec![4, 5], vec![user(2)], None), (vec![6], vec![], None)];
        assert_eq!(cut(events), expected);
    }

    /// Rule 28.
    #[test]
    fn a_removal_ends_a_portion() {
        let events = vec![said(3, None), left(4, 2), said(5, None)];
        assert_eq!(cut(events), [(vec![3, 4], vec![], Some(user(2))), (vec![5], vec![], None)]);
    }
}
