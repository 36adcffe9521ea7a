//! What an operator changes at one node holds at all of them within seconds, whatever is heard of it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::account::Account;
use crate::cassandra;
use crate::client::Client;
use crate::node::Node;
use crate::redis::RedisServer;
use crate::run::{BUSY, PATIENCE};
use crate::set::Set;

/// How soon a change holds at all nodes: what is promised.
const EVERYWHERE_WITHIN: Duration = Duration::from_secs(5);

/// Who may sign in where there are no guests.
const SITE: &str = "[[auth.external]]\nissuer = \"site\"\naudience = \"chat\"\nkey_file = \"site.pem\"\n";
const SITE_PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";

/// The status with which a node answers who wants to be a guest.
fn guest(node: &Node) -> u16 {
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
    let url = format!("http://{}/api/v1/guests", node.address);
    agent.post(&url).send_json(json!({"name": "Eve"})).unwrap().status().as_u16()
}

/// Waits until something is so at all nodes; gives how long it took.
fn everywhere(nodes: &[Node], since: Instant, is_so: impl Fn(&Node) -> bool) -> Duration {
    while !nodes.iter().all(&is_so) {
        assert!(since.elapsed() < PATIENCE, "it never holds everywhere");
        std::thread::sleep(Duration::from_millis(20));
    }
    since.elapsed()
}

fn version(node: &Node) -> u64 {
    node.metric("bobchat_settings_version")
}

/// One set for all of it: making one takes longer than what is tried.
#[tokio::test]
async fn a_change_holds_at_all_nodes_within_five_seconds() {
    let mut redis = tokio::task::spawn_blocking(RedisServer::start).await.unwrap();
    let (url, cassandra) = (redis.url(), cassandra::shared().address().to_owned());
    let started = tokio::task::spawn_blocking(move || {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.toml"), SITE).unwrap();
        std::fs::write(folder.path().join("site.pem"), SITE_PUBLIC_KEY).unwrap();
        Set::over(folder, &url, &cassandra, &[("LIMITS__SENDS_PER_SECOND", "1000000")])
    });
    let mut set = started.await.unwrap();
    set.wait_until_all_know_each_other();
    told(&set).await;
    unheard(&set, &mut redis);
    away_and_refusing(&mut set);
}

/// The usual way: Redis carries the notice, and the command waits until all nodes have it.
async fn told(set: &Set) {
    let [one, two, three] = set.nodes.as_slice() else { panic!("three nodes") };
    let ada = Account::sign_up(one, "Ada");
    let mut client = Client::signed_in(two.address, &ada.token).await;
    let room = client.make_room("tea").await;
    let begun = Instant::now();
    let strict = ["auth.guests=false", "limits.sends_burst=1", "limits.sends_per_second=1"];
    let (done, said) = one.try_operate(&[&["config", "set"][..], &strict].concat());
    let took = everywhere(&set.nodes, begun, |node| guest(node) == 403);
    println!("{said}guests are off at all nodes after {took:?}, the command included");
    assert!(done && said.contains("applied by 3 of 3 nodes"), "{said}");
    assert!(took < EVERYWHERE_WITHIN + BUSY, "after {took:?}");
    client.ok("message_send", json!({"room": room, "key": "1", "text": "one"})).await;
    let refused = client.error("message_send", json!({"room": room, "key": "2", "text": "two"})).await;
    assert_eq!(refused["code"], "rate_limited", "at a node that took no command, for who was connected before");
    // Two operators who saw the same version.
    let late = two.try_operate(&["config", "set", "limits.sends_burst=9", "--if-version", "0"]);
    assert!(!late.0 && late.1.contains("version 1 stands, not 0"), "{}", late.1);
    let begun = Instant::now();
    three.operate(&["config", "rollback", "--note", "too strict"]);
    let took = everywhere(&set.nodes, begun, |node| guest(node) == 201);
    assert!(took < EVERYWHERE_WITHIN + BUSY, "after {took:?}");
    let (_, history) = one.try_operate(&["config", "history"]);
    for part in ["as version 0: too strict", "through node-2:", "auth.guests: true (own) -> false", "version 1  "] {
        assert!(history.contains(part), "{part} in {history}");
    }
    let (_, levels) = two.try_operate(&["config", "set", "telemetry.log_filter=info,bobchat::web=debug"]);
    assert!(levels.contains("3 of 3"), "{levels}");
    set.nodes.iter().for_each(|node| assert_eq!(guest(node), 201));
    everywhere(&set.nodes, Instant::now(), |node| node.said("request answered", "201"));
    one.operate(&["config", "rollback", "0"]);
}

/// Redis is gone, and with it every notice: nodes look by themselves.
fn unheard(set: &Set, redis: &mut RedisServer) {
    let before = version(&set.nodes[0]);
    redis.kill();
    let took = std::thread::scope(|scope| {
        // It waits for what the others say, which it cannot hear.
        scope.spawn(|| set.nodes[0].try_operate(&["config", "set", "auth.guests=false"]));
        everywhere(&set.nodes, Instant::now(), |node| version(node) == before + 1)
    });
    println!("without Redis it is at all nodes after {took:?}");
    assert!(took < EVERYWHERE_WITHIN + BUSY, "after {took:?}");
    redis.run();
    set.wait_until_all_know_each_other();
    set.nodes[1].operate(&["config", "rollback"]);
    everywhere(&set.nodes, Instant::now(), |node| guest(node) == 201);
}

/// A node that was away catches up, and one that finds a version wrong says why and goes on.
fn away_and_refusing(set: &mut Set) {
    set.nodes[2].kill();
    let before = version(&set.nodes[0]);
    let (done, said) = set.nodes[0].try_operate(&["config", "set", "limits.guests_burst=900"]);
    assert!(done || said.contains("no answer"), "its lease goes on for a while: {said}");
    set.nodes[2].configure("LIMITS__OUTBOUND_BYTES_TOTAL_MAX", "2MiB");
    set.nodes[2].run();
    set.nodes[2].wait_until_ready();
    assert_eq!(version(&set.nodes[2]), before + 1, "from its start on");
    set.wait_until_all_know_each_other();
    let (done, said) = set.nodes[0].try_operate(&["config", "set", "limits.outbound_bytes_max=4MiB"]);
    assert!(!done && said.contains("2 of 3 nodes have applied it"), "{said}");
    let (done, status) = set.nodes[1].try_operate(&["config", "status"]);
    let refusal = status.lines().find(|line| line.contains("node-2")).unwrap();
    assert!(!done && refusal.contains(&format!("refused version {}: limits.outbound", before + 2)), "{status}");
    assert_eq!(version(&set.nodes[2]), before + 1, "the last good one holds");
    set.nodes[1].operate(&["config", "rollback"]);
    everywhere(&set.nodes, Instant::now(), |node| version(node) == before + 3);
}
