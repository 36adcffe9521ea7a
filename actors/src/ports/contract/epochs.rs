use bobchat_proto::ids::{Epoch, RoomId, Sequence};
use futures_util::future::join_all;

use super::BEGIN_MICROS;
use super::event_store::{Nodes, new_room};
use crate::ports::{EventStore, LogRow, Raised, Raiser, Span};

pub(super) async fn cases(nodes: &Nodes) {
    of_many_raisers_one_wins(nodes).await;
    a_repeated_attempt_is_told_by_its_token(nodes).await;
    an_epoch_is_raised_from_what_it_is(nodes).await;
    only_the_raiser_says_where_an_epoch_begins(nodes).await;
    a_base_is_said_once(nodes).await;
    spans_are_in_order(nodes).await;
}

async fn raise(store: &dyn EventStore, room: RoomId, from: Option<u64>, token: u128) -> Raised {
    store.raise(room, from.map(Epoch), Raiser(token)).await.expect("the store answers")
}

async fn begin(store: &dyn EventStore, room: RoomId, span: Span, token: u128) -> bool {
    store.begin(room, span, Raiser(token)).await.expect("the store answers")
}

fn span(epoch: u64, base: u64) -> Span {
    Span { epoch: Epoch(epoch), base: Sequence(base) }
}

/// The row, which both nodes read alike in both ways.
async fn row(nodes: &Nodes, room: RoomId) -> LogRow {
    let settled = nodes.there().log_row(room, true).await.expect("it is read").expect("it is there");
    for store in [nodes.here(), nodes.there()] {
        assert_eq!(store.log_row(room, false).await.expect("it is read").as_ref(), Some(&settled));
    }
    settled
}

/// Rule 2: compare and set.
async fn of_many_raisers_one_wins(nodes: &Nodes) {
    let room = new_room();
    for from in [None, Some(1), Some(2)] {
        let attempts = (1..=8_u64).map(|number| {
            let store = if number % 2 == 0 { nodes.here() } else { nodes.there() };
            let token = Raiser(u128::from(from.unwrap_or(0) * 100 + number));
            // Beside each other, an attempt may not hear its outcome: asked again, it is told by its token.
            async move {
                loop {
                    if let Ok(raised) = store.raise(room, from.map(Epoch), token).await {
                        break (token, raised);
                    }
                }
            }
        });
        let outcomes = join_all(attempts).await;
        let winners: Vec<_> = outcomes.iter().filter(|(_, raised)| *raised == Raised::Won).collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        let row = row(nodes, room).await;
        assert_eq!((row.epoch, row.raiser), (Epoch(from.unwrap_or(0) + 1), winners[0].0));
        for (_, raised) in &outcomes {
            assert!(*raised == Raised::Won || *raised == Raised::Lost(row.clone()), "{raised:?}");
        }
    }
}

async fn a_repeated_attempt_is_told_by_its_token(nodes: &Nodes) {
    let room = new_room();
    assert_eq!(raise(nodes.here(), room, None, 7).await, Raised::Won);
    assert_eq!(raise(nodes.there(), room, None, 7).await, Raised::Won, "the same attempt, after its answer was lost");
    assert!(matches!(raise(nodes.here(), room, None, 8).await, Raised::Lost(_)));
    assert_eq!(raise(nodes.here(), room, Some(1), 9).await, Raised::Won);
    assert_eq!(raise(nodes.here(), room, Some(1), 9).await, Raised::Won);
    let late = raise(nodes.here(), room, None, 7).await;
    assert_eq!(late, Raised::Lost(row(nodes, room).await), "somebody else has raised since");
    assert_eq!(row(nodes, room).await.epoch, Epoch(2), "nothing was raised twice");
}

async fn an_epoch_is_raised_from_what_it_is(nodes: &Nodes) {
    let (store, room) = (nodes.here(), new_room());
    assert_eq!(raise(store, room, Some(1), 7).await, Raised::Lost(LogRow::missing()), "there is none");
    assert_eq!(store.log_row(room, true).await.expect("it is read"), None, "and none was made");
    assert_eq!(raise(store, room, None, 7).await, Raised::Won);
    let first = row(nodes, room).await;
    assert_eq!(
        first,
        LogRow { epoch: Epoch::FIRST, raiser: Raiser(7), spans: vec![], deleted: false, opened_at: None }
    );
    assert!(!first.is_loaded());
    for from in [Some(2), Some(0)] {
        assert_eq!(raise(store, room, from, 8).await, Raised::Lost(first.clone()), "from {from:?}");
    }
}

async fn only_the_raiser_says_where_an_epoch_begins(nodes: &Nodes) {
    let (store, room) = (nodes.here(), new_room());
    assert!(!begin(store, room, Span::FIRST, 7).await, "there is no log");
    assert_eq!(store.log_row(room, true).await.expect("it is read"), None, "and none was made");
    assert_eq!(raise(store, room, None, 7).await, Raised::Won);
    assert!(!begin(nodes.there(), room, Span::FIRST, 8).await, "somebody else's epoch");
    assert!(!begin(store, room, span(2, 1), 7).await, "another epoch");
    assert!(row(nodes, room).await.spans.is_empty());
    assert_eq!(raise(nodes.there(), room, Some(1), 8).await, Raised::Won);
    assert!(!begin(store, room, Span::FIRST, 7).await, "another has raised since");
    assert!(row(nodes, room).await.spans.is_empty(), "a raiser that died leaves nothing half done");
}

async fn a_base_is_said_once(nodes: &Nodes) {
    let (store, room) = (nodes.here(), new_room());
    assert_eq!(raise(store, room, None, 7).await, Raised::Won);
    assert!(begin(store, room, Span::FIRST, 7).await);
    assert!(begin(nodes.there(), room, Span::FIRST, 7).await, "the same again");
    assert!(!begin(store, room, span(1, 4), 7).await, "it does not move");
    let row = row(nodes, room).await;
    assert_eq!(row.spans, [Span::FIRST]);
    assert!(row.is_loaded());
    assert!(row.opened_at.is_some_and(|at| at > BEGIN_MICROS - 1), "in microseconds: {:?}", row.opened_at);
}

async fn spans_are_in_order(nodes: &Nodes) {
    let (store, room) = (nodes.here(), new_room());
    let spans = [span(1, 1), span(2, 41), span(4, 17), span(11, 30)];
    let mut epoch = None;
    for number in 1..=11 {
        assert_eq!(raise(store, room, epoch, number.into()).await, Raised::Won);
        epoch = Some(number);
        for span in spans.iter().filter(|span| span.epoch.0 == number) {
            assert!(begin(store, room, *span, number.into()).await);
        }
    }
    let row = row(nodes, room).await;
    assert_eq!(row.spans, spans);
    let owners = [(1, 1), (16, 1), (17, 4), (29, 4), (30, 11), (41, 11)];
    assert!(owners.iter().all(|(seq, epoch)| row.owner(Sequence(*seq)) == Some(Epoch(*epoch))));
}
