//! Nodes that know of each other through a real Redis.

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bobchat::adapters::redis::{NodesMetrics, RedisLog, RedisNodes, RedisOptions, Servers};
use bobchat_actors::ports::contract::{self, NodesSubject};
use bobchat_actors::ports::{Hold, NodeLife, NodeLink, NodeListener, NodeRequest, Packet, Peer};
use bobchat_proto::ids::NodeId;
use bobchat_proto::node::{self, Frame, frame::Body};
use futures_util::FutureExt as _;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::cluster::RedisCluster;
use crate::migration::migrate;
use crate::server::RedisServer;
use crate::support::{PATIENCE, options_of};

fn id(node: u64) -> NodeId {
    NodeId::new(node).unwrap()
}

fn peer(node: u64) -> Peer {
    let life = NodeLife { node: id(node), life: 10 * node };
    Peer { life, version: "1".to_owned(), address: "here".to_owned(), started_at: 1 }
}

struct Subject(Servers);

#[async_trait(?Send)]
impl NodesSubject for Subject {
    async fn join(&self, node: NodeId, listener: Weak<dyn NodeListener>) -> Arc<dyn NodeLink> {
        let nodes = start(&self.0, node, NodesMetrics::default()).await;
        nodes.listen(listener);
        nodes
    }
}

/// A link that hears.
async fn start(servers: &Servers, node: NodeId, metrics: NodesMetrics) -> Arc<RedisNodes> {
    let options = RedisOptions { node: node.get(), ..options_of(servers.clone()) };
    let log = RedisLog::connect(options.clone()).await.unwrap();
    let nodes = RedisNodes::start(&options, node, log, metrics);
    nodes.hears().await.unwrap();
    nodes
}

/// Keeps what a node heard.
#[derive(Default)]
struct Notes(Mutex<Vec<(NodeLife, Packet)>>);

impl NodeListener for Notes {
    fn heard(&self, from: NodeLife, packet: Packet) {
        self.0.lock().unwrap().push((from, packet));
    }
}

impl Notes {
    async fn next(&self) -> Packet {
        let heard = async {
            loop {
                if let Some((_, packet)) = self.0.lock().unwrap().pop() {
                    return packet;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, heard).await.expect("something is heard")
    }
}

struct Pair {
    one: Arc<RedisNodes>,
    _two: Arc<RedisNodes>,
    at_two: Arc<Notes>,
    metrics: NodesMetrics,
}

async fn pair(servers: &Servers) -> Pair {
    let metrics = NodesMetrics::default();
    let (one, two) =
        (start(servers, id(1), NodesMetrics::default()).await, start(servers, id(2), metrics.clone()).await);
    let at_two = Arc::new(Notes::default());
    let listener: Arc<dyn NodeListener> = at_two.clone();
    two.listen(Arc::downgrade(&listener));
    Pair { one, _two: two, at_two, metrics }
}

#[tokio::test]
async fn one_server_keeps_the_contract_of_links_between_nodes() {
    let server = RedisServer::start();
    contract::node_link(&|| {
        server.cli(&["FLUSHALL"]);
        let subject: Box<dyn NodesSubject> = Box::new(Subject(Servers::One(server.url())));
        async { subject }.boxed_local()
    })
    .await;
}

#[tokio::test]
async fn a_cluster_of_three_masters_keeps_the_contract_of_links_between_nodes() {
    let cluster = RedisCluster::start();
    contract::node_link(&|| {
        cluster.servers.iter().for_each(|server| drop(server.cli(&["FLUSHALL"])));
        let subject: Box<dyn NodesSubject> = Box::new(Subject(cluster.address()));
        async { subject }.boxed_local()
    })
    .await;
}

#[tokio::test]
async fn what_is_forged_cut_oversized_or_of_another_version_is_thrown_away_and_counted() {
    let server = RedisServer::start();
    let pair = pair(&Servers::One(server.url())).await;
    // By a connection of its own: bytes that no argument of a command line can hold.
    let mut client = TcpStream::connect(server.address()).await.unwrap();
    let said = |version, to, body| Frame { version, node: 9, life: 1, to, body }.encode_to_vec();
    let changed = || Some(Body::Changed(node::Changed { left: true }));
    let whole = said(1, Some(2), changed());
    let for_another = said(1, Some(3), changed());
    let sign_out_of_nobody =
        node::Request { id: 1, body: Some(node::request::Body::SignOut(node::SignOut { user: 0, device: None })) };
    for broken in [
        b"forged".to_vec(),
        whole[..whole.len() - 1].to_vec(),
        said(1, None, None),
        for_another,
        said(1, Some(2), Some(Body::Request(sign_out_of_nobody))),
        vec![0x2a; 64 << 10],
    ] {
        publish(&mut client, "bob:{nodes}:node:2", &broken).await;
    }
    publish(&mut client, "bob:{nodes}:all", &said(2, None, changed())).await;
    publish(&mut client, "bob:{nodes}:all", b"").await;
    pair.one.send(peer(1).life, None, Packet::Came).await.unwrap();
    assert_eq!(pair.at_two.next().await, Packet::Came, "and nothing else came before");
    assert!(pair.at_two.0.lock().unwrap().is_empty());
    assert_eq!((pair.metrics.refused.get(), pair.metrics.other_version.get()), (6, 2));
}

/// Publishes, and waits until Redis has passed it on.
async fn publish(stream: &mut TcpStream, channel: &str, payload: &[u8]) {
    let head = format!("*3\r\n$7\r\nPUBLISH\r\n${}\r\n{channel}\r\n${}\r\n", channel.len(), payload.len());
    let command = [head.as_bytes(), payload, b"\r\n"].concat();
    stream.write_all(&command).await.unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    assert_ne!(answer, *b":0\r\n", "somebody hears it");
}

#[tokio::test]
async fn a_cut_connection_is_made_again_and_the_node_can_be_asked() {
    let server = RedisServer::start();
    let pair = pair(&Servers::One(server.url())).await;
    server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    let asked = async {
        loop {
            pair.one
                .send(peer(1).life, Some(id(2)), Packet::Ask { id: 1, request: NodeRequest::Status })
                .await
                .unwrap();
            if !pair.at_two.0.lock().unwrap().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("it is asked");
    assert_eq!(pair.metrics.connections.get(), 2);
}

#[tokio::test]
async fn a_node_that_hears_nothing_any_more_because_its_channels_moved_notices_it() {
    let cluster = RedisCluster::start();
    let pair = pair(&cluster.address()).await;
    assert!(matches!(pair.one.hold(&peer(1), PATIENCE, false).await, Ok(Hold::Held(_))));
    let key = "bob:{nodes}:ends";
    let slot = cluster.servers[0].cli(&["CLUSTER", "KEYSLOT", key]);
    let from = cluster.servers.iter().position(|server| !server.keys(key).is_empty()).unwrap();
    migrate(&slot, &cluster.servers[from], &cluster.servers[(from + 1) % 3], &cluster.servers);
    let heard = async {
        while pair.at_two.0.lock().unwrap().is_empty() {
            let _ = pair.one.send(peer(1).life, Some(id(2)), Packet::Came).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("it hears again, over another connection");
    assert_eq!(pair.one.leases().await.unwrap().len(), 1, "leases moved along");
}

#[tokio::test]
async fn a_lease_ends_by_the_clock_of_the_server_and_leaves_nothing_behind() {
    let server = RedisServer::start();
    let one = start(&Servers::One(server.url()), id(1), NodesMetrics::default()).await;
    let lasting = Duration::from_millis(500);
    let begin = Instant::now();
    assert!(matches!(one.hold(&peer(1), lasting, false).await, Ok(Hold::Held(_))));
    while !one.leases().await.unwrap().is_empty() {
        assert!(begin.elapsed() < PATIENCE, "it does not end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(begin.elapsed() >= lasting);
    assert_eq!(server.keys("bob:{nodes}:*"), Vec::<String>::new());
}

#[tokio::test]
async fn a_full_server_still_renews_leases() {
    let server = RedisServer::start();
    let one = start(&Servers::One(server.url()), id(1), NodesMetrics::default()).await;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let held = one.hold(&peer(1), Duration::from_secs(9), false).await;
    assert!(matches!(held, Ok(Hold::Held(_))), "{held:?}");
}
