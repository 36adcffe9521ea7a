//! What makes a keyspace good that was brought back from snapshots.

use bobchat_actors::ports::{EventStore, Raised, Raiser, Span};
use bobchat_proto::ids::{Epoch, RoomId, Sequence};

use crate::support::{new_keyspace, open, options};

/// Clients may have seen epochs that came after the snapshot: what follows must not be taken for those.
#[tokio::test]
async fn rooms_that_were_brought_back_go_on_in_an_epoch_that_nobody_has_seen() {
    const QUARTER_HOURS: u64 = 2_000_000;
    let now = i64::try_from(QUARTER_HOURS).unwrap() * 900_000_000 + 7;
    let (store, room) = (open(&options(&new_keyspace())).await, RoomId::new(7).unwrap());
    assert_eq!(store.raise_all_epochs(now).await.unwrap(), 0);
    assert_eq!(store.raise(room, None, Raiser(1)).await.unwrap(), Raised::Won);
    assert!(store.begin(room, Span::FIRST, Raiser(1)).await.unwrap());

    for epoch in [QUARTER_HOURS, QUARTER_HOURS + 1] {
        assert_eq!(store.raise_all_epochs(now).await.unwrap(), 1);
        let row = store.log_row(room, true).await.unwrap().unwrap();
        assert_eq!((row.epoch, row.is_loaded(), row.spans.as_slice()), (Epoch(epoch), false, &[Span::FIRST][..]));
    }
    // As a raiser leaves it that has died: the next one raises once more, and begins.
    let newest = Epoch(QUARTER_HOURS + 1);
    assert_eq!(store.raise(room, Some(newest), Raiser(2)).await.unwrap(), Raised::Won);
    let span = Span { epoch: Epoch(newest.0 + 1), base: Sequence(1) };
    assert!(store.begin(room, span, Raiser(2)).await.unwrap());
}
