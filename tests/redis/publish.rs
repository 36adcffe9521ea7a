use bobchat::adapters::redis::RedisLog;
use bobchat_actors::ports::{LiveLog as _, Outcome};
use bobchat_proto::backplane::Frame;
use prost::Message as _;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, Value};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::cluster::RedisCluster;
use crate::server::RedisServer;
use crate::support::{NODE, PATIENCE, batch, connect, event, message, open, options_of, room};

const ROOM: u64 = 42;
const CHANNEL: &str = "bob:{s200}:42:new";

/// Listens as a node will: its messages, and the connection that must live as long.
async fn listen(server: &RedisServer, command: &str) -> (MultiplexedConnection, UnboundedReceiver<PushInfo>) {
    let client = Client::open(format!("{}/?protocol=resp3", server.url())).unwrap();
    let (sender, receiver) = unbounded_channel();
    let config = AsyncConnectionConfig::new().set_push_sender(sender);
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
    redis::cmd(command).arg(CHANNEL).exec_async(&mut connection).await.unwrap();
    (connection, receiver)
}

async fn next(pushes: &mut UnboundedReceiver<PushInfo>, wanted: &PushKind) -> Frame {
    loop {
        let push = tokio::time::timeout(PATIENCE, pushes.recv()).await.expect("it arrives").unwrap();
        if push.kind == *wanted {
            let Some(Value::BulkString(frame)) = push.data.last() else { panic!("{push:?}") };
            return Frame::decode(frame.as_slice()).unwrap();
        }
    }
}

async fn what_was_appended_arrives(log: &RedisLog, pushes: &mut UnboundedReceiver<PushInfo>, kind: &PushKind) {
    let id = room(ROOM);
    open(log, id, 1, 0).await;
    let send = async |events| log.append(batch(id, events)).await.unwrap().outcomes;
    let first =
        send(vec![message(id, (1 << 62) + 1, Some("a"), "one"), message(id, 2, None, &"long".repeat(99))]).await;
    let frame = next(pushes, kind).await;
    assert_eq!((frame.version, frame.node, frame.room, frame.epoch), (1, NODE, ROOM, 1));
    assert!(frame.events.iter().eq(first.iter().map(event)), "{frame:?}");
    // What adds nothing publishes nothing; what was there before is not published again.
    assert!(matches!(send(vec![message(id, 3, Some("a"), "one")]).await[..], [Outcome::Repeated(_)]));
    let mixed = send(vec![message(id, 4, Some("a"), "one"), message(id, 5, Some("b"), "three")]).await;
    let frame = next(pushes, kind).await;
    assert_eq!(frame.events, [event(mixed.last().unwrap()).clone()]);
}

/// Log protocol, rule 7.
#[tokio::test]
async fn a_publish_arrives_with_exactly_the_appended_events() {
    let server = RedisServer::start();
    let log = connect(&server).await;
    let (_connection, mut pushes) = listen(&server, "SUBSCRIBE").await;
    what_was_appended_arrives(&log, &mut pushes, &PushKind::Message).await;
}

/// Log protocol, rule 30.
#[tokio::test]
async fn on_a_cluster_it_arrives_in_the_shard() {
    let cluster = RedisCluster::start();
    let log = RedisLog::connect(options_of(cluster.address())).await.unwrap();
    // The others would send us on.
    let owner = cluster.servers.iter().find(|server| !server.cli(&["SPUBLISH", CHANNEL, ""]).starts_with("MOVED"));
    let (_connection, mut pushes) = listen(owner.unwrap(), "SSUBSCRIBE").await;
    what_was_appended_arrives(&log, &mut pushes, &PushKind::SMessage).await;
}
