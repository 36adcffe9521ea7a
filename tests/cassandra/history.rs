//! What the contract cannot reach in a room of a few events: many partitions, and epochs that lost their ends.

use std::sync::Arc;

use bobchat::adapters::cassandra::CassandraStore;
use bobchat_actors::ports::{Anchor, EventStore, Head, History, MessagePage, Raiser, Span, StoredEvent, Visible};
use bobchat_proto::ids::{Epoch, Ordinal, Position, RoomId, Sequence};
use bobchat_proto::wire::{self, event::Body};

use crate::support::{new_keyspace, open, options};

fn room() -> RoomId {
    RoomId::new(7).unwrap()
}

fn everything() -> Visible {
    vec![Sequence(1)..=Sequence(u64::MAX)]
}

fn stored(epoch: u64, seq: u64, ordinal: Option<u64>) -> StoredEvent {
    let body = match ordinal {
        Some(_) => Body::Message(wire::Message { text: format!("{epoch} {seq}") }),
        None => Body::Settings(wire::SettingsChanged::default()),
    };
    let (id, body) = (epoch * 1_000_000 + seq, Some(body));
    let event = wire::Event { room: 7, epoch, seq, id, author: 5, ordinal, body, ..wire::Event::default() };
    StoredEvent { event, body_hash: 3, renumbered: false }
}

/// Opens an epoch at a base.
async fn begin(store: &CassandraStore, epoch: u64, base: u64) {
    let from = (epoch > 1).then(|| Epoch(epoch - 1));
    store.raise(room(), from, Raiser(epoch.into())).await.unwrap();
    let span = Span { epoch: Epoch(epoch), base: Sequence(base) };
    assert!(store.begin(room(), span, Raiser(epoch.into())).await.unwrap());
}

async fn put(store: &CassandraStore, events: &[StoredEvent]) {
    for events in events.chunks(2_000) {
        store.store(room(), events.to_vec()).await.unwrap();
    }
}

async fn page(store: &CassandraStore, anchor: Anchor, limit: usize, visible: &Visible) -> MessagePage {
    store.page(room(), anchor, limit, visible).await.unwrap()
}

fn seqs(page: &MessagePage) -> Vec<(u64, u64)> {
    page.messages.iter().map(|event| (event.epoch, event.seq)).collect()
}

async fn new_store() -> Arc<CassandraStore> {
    open(&options(&new_keyspace())).await
}

/// 24 000 messages in three partitions, one in three events something else, and nothing noted of where they end.
#[tokio::test]
async fn pages_are_exact_across_partitions_with_and_without_a_hint() {
    let store = new_store().await;
    begin(&store, 1, 1).await;
    let message = |seq: u64| (!seq.is_multiple_of(3)).then(|| seq - seq / 3);
    let events: Vec<_> = (1..=36_000).map(|seq| stored(1, seq, message(seq))).collect();
    put(&store, &events).await;
    let said: Vec<u64> = (1..=36_000).filter(|seq| message(*seq).is_some()).collect();
    for hint in [None, Some(30_000), Some(36_000)] {
        if let Some(seq) = hint {
            let position = Position { epoch: Epoch(1), seq: Sequence(seq) };
            let head = Head { position, at: 0, ordinal: Ordinal(seq - seq / 3), state_seq: Sequence(seq) };
            store.note_head(room(), head).await.unwrap();
        }
        // Around the borders of partitions of both kinds, at both ends, and beyond.
        for seq in [0, 1, 4, 5_000, 14_998, 14_999, 15_000, 15_001, 29_999, 30_001, 35_990, 36_000, 36_001, 90_000] {
            let split = said.partition_point(|known| *known < seq);
            let before = page(&store, Anchor::Before(Sequence(seq)), 50, &everything()).await;
            let expected: Vec<_> = said[split.saturating_sub(50)..split].iter().map(|seq| (1, *seq)).collect();
            assert_eq!(seqs(&before), expected, "before {seq}, hint {hint:?}");
            assert_eq!((before.has_more_before, before.has_more_after), (split > 50, split < said.len()), "{seq}");
            let split = said.partition_point(|known| *known <= seq);
            let after = page(&store, Anchor::After(Sequence(seq)), 50, &everything()).await;
            let expected: Vec<_> = said[split..].iter().take(50).map(|seq| (1, *seq)).collect();
            assert_eq!(seqs(&after), expected, "after {seq}, hint {hint:?}");
            assert_eq!((after.has_more_before, after.has_more_after), (split > 0, said.len() > split + 50), "{seq}");
        }
        let newest = page(&store, Anchor::Newest, 50, &everything()).await;
        assert_eq!(newest.messages.last().unwrap().seq, 35_999);
        let narrow = vec![Sequence(2)..=Sequence(4), Sequence(20_000)..=Sequence(20_002)];
        let shown = page(&store, Anchor::Newest, 50, &narrow).await;
        assert_eq!(seqs(&shown), [(1, 2), (1, 4), (1, 20_000), (1, 20_002)]);
    }
}

/// Log protocol, rule 2: an orphan is nobody's event.
#[tokio::test]
async fn what_a_lost_epoch_left_behind_is_never_shown() {
    let store = new_store().await;
    begin(&store, 1, 1).await;
    // Of 10 600 messages the last 1 000 lay beyond a hole, when everything but what is stored was lost.
    let first: Vec<_> = (1..=9_000).map(|seq| stored(1, seq, Some(seq))).collect();
    let orphans: Vec<_> = (9_601..=10_600).map(|seq| stored(1, seq, Some(seq))).collect();
    put(&store, &first).await;
    put(&store, &orphans).await;
    begin(&store, 2, 9_001).await;
    let newest = page(&store, Anchor::Newest, 3, &everything()).await;
    assert_eq!(seqs(&newest), [(1, 8_998), (1, 8_999), (1, 9_000)]);
    assert!(!newest.has_more_after);

    put(&store, &(9_001..=9_700).map(|seq| stored(2, seq, Some(seq))).collect::<Vec<_>>()).await;
    let newest = page(&store, Anchor::Newest, 2, &everything()).await;
    assert_eq!(seqs(&newest), [(2, 9_699), (2, 9_700)]);
    let across = page(&store, Anchor::Around(Sequence(9_000)), 4, &everything()).await;
    assert_eq!(seqs(&across), [(1, 8_999), (1, 9_000), (2, 9_001), (2, 9_002)]);
    let after = page(&store, Anchor::After(Sequence(9_599)), 100, &everything()).await;
    assert!(seqs(&after).into_iter().eq((9_600..=9_699).map(|seq| (2, seq))), "one of two rows of an ordinal");
    let events = store.events(room(), Sequence(8_990), 2_000, &everything()).await.unwrap();
    let expected = (8_991..=9_700).map(|seq| (if seq > 9_000 { 2 } else { 1 }, seq));
    assert!(events.events.iter().map(|event| (event.epoch, event.seq)).eq(expected));
    assert!(!events.has_more);
}
