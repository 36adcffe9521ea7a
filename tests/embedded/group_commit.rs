use bobchat_actors::ports::{Append, AppendError, RoomLog as _};
use futures_util::future::join_all;
use prometheus_client::registry::Registry;
use tempfile::TempDir;

use crate::support::{append, create_room, message, metric, open_with, options, room, tail};

#[tokio::test]
async fn many_concurrent_appends_share_few_syncs() {
    let (folder, mut registry) = (TempDir::new().unwrap(), Registry::default());
    let store = open_with(folder.path(), options(), &mut registry);
    for raw in 1..=50 {
        create_room(&store, room(raw)).await;
    }
    let before = metric(&registry, "bobchat_store_fsyncs_total");
    let appends = (0..1000_u64).map(|number| {
        let (store, room) = (&store, room(number % 50 + 1));
        async move { append(store, room, vec![message(room, &number.to_string(), "hello")]).await.unwrap() }
    });
    assert_eq!(join_all(appends).await.len(), 1000);
    let syncs = metric(&registry, "bobchat_store_fsyncs_total") - before;
    // One sync a commit; one append a commit would be 1000.
    assert!(syncs <= 100.0, "{syncs} syncs for 1000 appends");
    for raw in 1..=50 {
        assert_eq!(tail(&store, room(raw)).await.len(), 21);
    }
    assert_eq!(metric(&registry, "bobchat_store_queue_depth"), 0.0);
}

#[tokio::test]
async fn an_append_that_adds_nothing_costs_no_sync() {
    let (folder, mut registry) = (TempDir::new().unwrap(), Registry::default());
    let store = open_with(folder.path(), options(), &mut registry);
    create_room(&store, room(1)).await;
    append(&store, room(1), vec![message(room(1), "k", "hello")]).await.unwrap();
    let before = metric(&registry, "bobchat_store_fsyncs_total");
    for _ in 0..10 {
        append(&store, room(1), vec![message(room(1), "k", "hello")]).await.unwrap();
    }
    assert_eq!(metric(&registry, "bobchat_store_fsyncs_total"), before);
}

#[tokio::test]
async fn more_than_the_queue_holds_is_refused_and_surely_not_added() {
    let (folder, mut registry) = (TempDir::new().unwrap(), Registry::default());
    let store = open_with(folder.path(), options(), &mut registry);
    create_room(&store, room(1)).await;
    let head = store.head(room(1)).await.unwrap().unwrap();
    let text = "x".repeat(16 * 1024);
    // 160 MiB at once; the queue holds 64.
    let appends = (0..500).map(|number| {
        let events = (0..20).map(|part| message(room(1), &format!("{number}-{part}"), &text)).collect();
        let (epoch, known_seq, state_seq) = (head.position.epoch, head.position.seq, head.state_seq);
        store.append(Append { room: room(1), epoch, known_seq, state_seq, events })
    });
    let outcomes = join_all(appends).await;
    let taken = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let full = outcomes.iter().filter(|outcome| matches!(outcome, Err(AppendError::Full { .. }))).count();
    assert_eq!(taken + full, 500);
    assert!(taken >= 190 && full > 0, "{taken} taken");
    assert_eq!(metric(&registry, "bobchat_store_full_total"), full as f64);
    assert_eq!(tail(&store, room(1)).await.len(), 1 + 20 * taken);
}
