use crate::cassandra;
use crate::redis::{RedisServer, eventually};
use crate::redis_cluster::RedisCluster;
use crate::run::{PATIENCE, agreed_within};
use crate::set::Set;

use super::{FAULT, HOT, begin, end};

/// The number of the primary that has a room.
fn primary_of(room: u64, cluster: &RedisCluster) -> usize {
    let is_primary = |server: &RedisServer| server.info("replication", "role") == "master";
    let has_it = |server: &RedisServer| !server.keys(&format!("bob:*:{room}:meta")).is_empty();
    cluster.servers.iter().position(|server| is_primary(server) && has_it(server)).expect("a primary has the room")
}

/// The number of the replica of a primary.
fn replica_of(primary: usize, cluster: &RedisCluster) -> usize {
    let port = cluster.servers[primary].port().to_string();
    let follows = |server: &RedisServer| {
        server.info("replication", "role") == "slave" && server.info("replication", "master_port") == port
    };
    cluster.servers.iter().position(follows).expect("each primary has a replica")
}

/// Waits until the others have noticed, and have made the replica a primary.
fn wait_until_promoted(replica: &RedisServer) {
    eventually("the replica is the primary", || (replica.info("replication", "role") == "master").then_some(()));
}

/// The cluster finds out by itself and heals by itself: first with a replica that has everything, then with one that
/// lags. Rooms on the other primaries go on meanwhile.
#[test]
fn a_primary_of_a_redis_cluster_is_killed_and_its_replica_takes_its_place() {
    let mut cluster = RedisCluster::with_replicas(1);
    let urls: Vec<_> = cluster.servers.iter().map(RedisServer::url).collect();
    let set = Set::with("", cassandra::shared().address(), &[("REDIS__CLUSTER", &urls.join(","))]);
    let mut torture = begin(&set);
    let room = torture.rooms()[HOT];

    let killed = primary_of(room, &cluster);
    let replica = replica_of(killed, &cluster);
    cluster.servers[killed].kill();
    wait_until_promoted(&cluster.servers[replica]);
    let agreed = torture.settle(agreed_within()).unwrap();
    println!("agreed {:.2} s after the first promotion", agreed.as_secs_f64());
    cluster.servers[killed].run();
    RedisCluster::wait(&cluster.servers);

    torture.stage(FAULT);
    torture.talk(50, PATIENCE).unwrap();
    let killed = primary_of(room, &cluster);
    let replica = replica_of(killed, &cluster);
    cluster.servers[replica].pause();
    torture.talk(50, PATIENCE).unwrap();
    cluster.servers[killed].kill();
    cluster.servers[replica].resume();
    wait_until_promoted(&cluster.servers[replica]);
    let agreed = torture.settle(agreed_within()).unwrap();
    println!("agreed {:.2} s after the second promotion", agreed.as_secs_f64());
    end(torture);
}
