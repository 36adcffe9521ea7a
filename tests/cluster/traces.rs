//! The trace of a message goes from node to node, and on into the archiver, whichever node archives.

use std::time::{Duration, Instant};

use crate::cassandra;
use crate::client::Client;
use crate::collector::{Span, collector, has_chain};
use crate::node::Node;
use crate::redis::RedisServer;
use crate::set::{new_keyspace, sign_up};

/// Exporters send what they have every five seconds.
const PATIENCE: Duration = Duration::from_secs(90);

/// What has to be seen, from the one side or from the other. Ada is at node `one`, which archives the room unless the
/// other one comes first; Bob is at `two`.
const CHAINS: [&[&str]; 4] = [
    // Bob's message reaches Ada.
    &[
        "two session.frame",
        "two room.append",
        "two redis.append",
        "one backplane.heard",
        "one room.fan_out",
        "one hub.write",
    ],
    // The node that archives hears of it.
    &[
        "two session.frame",
        "two room.append",
        "two redis.append",
        "one backplane.heard",
        "one archive.wait",
        "one room.archive",
        "one cassandra.store",
    ],
    // What Ada says is archived where it was accepted, and reaches Bob.
    &["one session.frame", "one room.append", "one archive.wait", "one room.archive", "one cassandra.store"],
    &[
        "one session.frame",
        "one room.append",
        "one redis.append",
        "two backplane.heard",
        "two room.fan_out",
        "two hub.write",
    ],
];

#[tokio::test]
async fn a_message_is_followed_to_the_other_node_and_into_the_archiver_of_either() {
    let redis = RedisServer::start();
    let url = redis.url();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let (collectors, endpoints): (Vec<_>, Vec<_>) =
        [collector(), collector()].into_iter().map(|(endpoint, spans)| (spans, endpoint)).unzip();
    let nodes = tokio::task::spawn_blocking(move || start(&path, &url, &endpoints)).await.unwrap();
    let mut ada = Client::signed_in(nodes[0].address, &sign_up(&nodes[0], "Ada")).await;
    let mut bob = Client::signed_in(nodes[1].address, &sign_up(&nodes[0], "Bob")).await;
    let room = ada.make_room("traced").await;
    bob.join(&room).await;
    bob.subscribe(&room).await;
    let mut spans: Vec<Span> = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while let Some(missing) = CHAINS.iter().find(|chain| !is_seen(&spans, chain)) {
        assert!(Instant::now() < deadline, "{missing:?} is missing among {:?}", names(&spans));
        // Each keeps the lease of the room with the node that she speaks to, and gives him something new to hear.
        ada.say(&room, "from one").await;
        bob.say(&room, "from two").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        for (node, collector) in ["one", "two"].iter().zip(&collectors) {
            let tagged = |span: Span| Span { name: format!("{node} {}", span.name), ..span };
            spans.extend(collector.try_iter().flatten().map(tagged));
        }
    }
}

/// Whether there is this chain of spans, or the same with the nodes exchanged.
fn is_seen(spans: &[Span], chain: &[&str]) -> bool {
    let exchange = |name: &&str| match name.split_once(' ') {
        Some(("one", rest)) => format!("two {rest}"),
        Some((_, rest)) => format!("one {rest}"),
        None => (*name).to_owned(),
    };
    let exchanged: Vec<String> = chain.iter().map(exchange).collect();
    let exchanged: Vec<&str> = exchanged.iter().map(String::as_str).collect();
    has_chain(spans, chain) || has_chain(spans, &exchanged)
}

/// Two nodes that export to a collector each, so that it is known whose a span is.
fn start(folder: &std::path::Path, redis: &str, endpoints: &[String]) -> Vec<Node> {
    let keyspace = new_keyspace();
    let node = |(number, endpoint): (usize, &String)| {
        let name = format!("traced-{number}");
        let settings = [
            ("REDIS__URL", redis),
            ("CASSANDRA__NODES", cassandra::shared().address()),
            ("CASSANDRA__KEYSPACE", &keyspace),
            ("CASSANDRA__REPLICATION", "1"),
            ("CLUSTER__NODE", &name),
            ("TELEMETRY__OTLP_ENDPOINT", endpoint),
            ("TELEMETRY__TRACE_SAMPLE_RATIO", "1"),
        ];
        Node::spawn(folder, &name, &settings.map(|(key, value)| (key.to_owned(), value.to_owned())))
    };
    let mut nodes: Vec<_> = endpoints.iter().enumerate().map(node).collect();
    nodes.iter_mut().for_each(Node::wait_until_ready);
    nodes
}

fn names(spans: &[Span]) -> std::collections::BTreeSet<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}
