use std::sync::Arc;
use std::time::Duration;

use bobchat::adapters::embedded::EmbeddedStore;
use bobchat_actors::ports::Outcome;
use bobchat_actors::ports::contract::BEGIN_MICROS;
use bobchat_actors::ports::memory::ManualClock;
use bobchat_proto::limits::KEY_LIFETIME;
use prometheus_client::registry::Registry;
use tempfile::TempDir;

use crate::support::{append, create_room, message, metric, options, room, tail};

#[tokio::test]
async fn old_keys_are_forgotten_and_young_ones_kept() {
    let (folder, mut registry) = (TempDir::new().unwrap(), Registry::default());
    let clock = Arc::new(ManualClock::new(BEGIN_MICROS));
    let store = EmbeddedStore::open(folder.path(), options(), Arc::clone(&clock) as _, &mut registry).unwrap();
    create_room(&store, room(1)).await;
    let batch = (0..1500).map(|number| message(room(1), &format!("old-{number}"), "text")).collect();
    append(&store, room(1), batch).await.unwrap();
    clock.advance(KEY_LIFETIME);
    append(&store, room(1), vec![message(room(1), "young", "text")]).await.unwrap();
    clock.advance(Duration::from_secs(1));
    // The key of the room's creation is among them.
    for _ in 0..2_400 {
        if metric(&registry, "bobchat_store_keys_swept_total") >= 1501.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(metric(&registry, "bobchat_store_keys_swept_total"), 1501.0);
    let again = append(&store, room(1), vec![message(room(1), "young", "text")]).await.unwrap();
    assert!(matches!(again[..], [Outcome::Repeated(_)]));
    assert_eq!(tail(&store, room(1)).await.len(), 1502, "events stay");
}
