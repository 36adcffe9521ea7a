use bobchat::adapters::redis::RedisLog;
use bobchat_actors::ports::{LiveLog as _, LiveRefusal};
use bobchat_proto::ids::Epoch;

use crate::cluster::RedisCluster;
use crate::server::RedisServer;
use crate::support::{event, open, options_of, room, say};

fn id(server: &RedisServer) -> String {
    server.cli(&["CLUSTER", "MYID"])
}

/// Moves a slot with its keys, as an operator's tool does.
pub(crate) fn migrate(slot: &str, from: &RedisServer, to: &RedisServer, all: &[RedisServer]) {
    let (source, target) = (id(from), id(to));
    to.cli(&["CLUSTER", "SETSLOT", slot, "IMPORTING", &source]);
    from.cli(&["CLUSTER", "SETSLOT", slot, "MIGRATING", &target]);
    let keys = from.cli(&["CLUSTER", "GETKEYSINSLOT", slot, "100"]);
    let port = to.port().to_string();
    let migrate = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
    from.cli(&[&migrate[..], &keys.lines().collect::<Vec<_>>()].concat());
    for server in [to, from].into_iter().chain(all) {
        server.cli(&["CLUSTER", "SETSLOT", slot, "NODE", &target]);
    }
}

#[tokio::test]
async fn a_slot_that_moves_takes_its_rooms_along_under_a_new_epoch() {
    let cluster = RedisCluster::start();
    let log = RedisLog::connect(options_of(cluster.address())).await.unwrap();
    let (moved, stays) = (room(42), room(43));
    for id in [moved, stays] {
        open(&log, id, 1, 0).await;
        say(&log, id, "one").await.unwrap();
    }
    let key = "bob:{s200}:42:meta";
    let slot = cluster.servers[0].cli(&["CLUSTER", "KEYSLOT", key]);
    let from = cluster.servers.iter().position(|server| !server.keys(key).is_empty()).unwrap();
    let to = (from + 1) % 3;
    migrate(&slot, &cluster.servers[from], &cluster.servers[to], &cluster.servers);

    // The first answer is that it lives elsewhere; the adapter follows within the same call.
    let refusal = say(&log, moved, "two").await.unwrap_err();
    assert!(matches!(refusal, LiveRefusal::Cold), "another server has another life: {refusal:?}");
    let fenced = log.fence(moved, Epoch(2)).await.unwrap();
    assert_eq!(fenced.events.len(), 1, "its events came along");
    assert_eq!(event(&say(&log, stays, "two").await.unwrap().outcomes[0]).seq, 2);
}
