use std::time::Duration;

use bobchat::adapters::redis::{CheckError, RedisLog, RedisOptions, Servers};
use bobchat_actors::ports::{LiveLog as _, LiveRefusal};
use bobchat_proto::ids::{Epoch, Sequence};

use crate::cluster::RedisCluster;
use crate::ports::free_port;
use crate::server::RedisServer;
use crate::support::{DEPLOYMENT, PATIENCE, batch, connect, event, message, open, options, options_of, room, say};

async fn refusal(options: RedisOptions) -> CheckError {
    RedisLog::connect(options).await.err().expect("it is not used")
}

/// Log protocol, rule 3.
#[tokio::test]
async fn a_server_that_evicts_is_not_used() {
    let server = RedisServer::with(&["--maxmemory-policy", "allkeys-lru"]);
    let error = refusal(options(&server)).await;
    assert!(matches!(&error, CheckError::Evicts { policy } if policy == "allkeys-lru"), "{error}");
    assert!(error.to_string().contains("set maxmemory-policy to noeviction"), "{error}");
    assert!(server.keys("*").is_empty(), "it was not touched");
    server.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    connect(&server).await;
}

/// Log protocol, rule 18.
#[tokio::test]
async fn a_server_of_another_deployment_is_not_used() {
    let server = RedisServer::start();
    connect(&server).await;
    let other = RedisOptions { deployment: "other".to_owned(), ..options(&server) };
    let error = refusal(other).await;
    let CheckError::OtherDeployment { found, expected } = &error else { panic!("{error}") };
    assert_eq!((found.as_str(), expected.as_str()), (DEPLOYMENT, "other"));
}

#[tokio::test]
async fn a_replica_and_nobody_are_told_apart() {
    let primary = RedisServer::start();
    let replica = primary.replica();
    assert!(matches!(refusal(options(&replica)).await, CheckError::Replica));
    let nobody = Servers::One(format!("redis://127.0.0.1:{}", free_port()));
    assert!(matches!(refusal(options_of(nobody)).await, CheckError::Unreachable(_)));
    let nonsense = Servers::One("http://127.0.0.1".to_owned());
    assert!(matches!(refusal(options_of(nonsense)).await, CheckError::Unreachable(_)));
}

#[tokio::test]
async fn a_master_that_evicts_keeps_the_whole_cluster_from_being_used() {
    let cluster = RedisCluster::start();
    cluster.servers[1].cli(&["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]);
    let options = options_of(cluster.address());
    assert!(matches!(refusal(options).await, CheckError::Evicts { .. }));
}

/// The address leads to another environment from one moment to the next.
/// Log protocol, rules 18 and 30.
#[tokio::test]
async fn a_new_connection_is_checked_before_it_is_used() {
    let mut server = RedisServer::start();
    let log = connect(&server).await;
    open(&log, room(7), 1, 0).await;
    server.kill();
    server.forget();
    server.run();
    server.cli(&["SET", "bob:deployment", "other"]);
    for _ in 0..2 {
        let refusal = say(&log, room(7), "hello").await.unwrap_err();
        assert!(matches!(refusal, LiveRefusal::Full { .. } | LiveRefusal::Unknown(_)), "{refusal:?}");
    }
    let error = log.fence(room(7), Epoch(2)).await.unwrap_err();
    assert!(error.to_string().contains("deployment"), "{error}");
    assert_eq!(server.keys("*"), ["bob:deployment"], "nothing was written");
}

/// Connections to a cluster come back by themselves, and nobody checks them before they are used.
/// Log protocol, rule 18.
#[tokio::test]
async fn on_a_cluster_of_another_deployment_nothing_is_opened_nor_appended() {
    let mut cluster = RedisCluster::start();
    let own = options_of(cluster.address());
    let log = RedisLog::connect(own.clone()).await.unwrap();
    for raw in 1..=20 {
        open(&log, room(raw), 1, 0).await;
        say(&log, room(raw), "hello").await.unwrap();
    }
    for server in &mut cluster.servers {
        server.kill();
        server.forget();
        server.run();
    }
    RedisCluster::wait(&cluster.servers);
    let other = RedisOptions { deployment: "other".to_owned(), ..own.clone() };
    RedisLog::connect(other).await.unwrap();
    for raw in 1..=20 {
        let refused = persist(async || match say(&log, room(raw), "hello").await {
            Err(LiveRefusal::Full { .. } | LiveRefusal::Unknown(_)) => None,
            answer => Some(answer.unwrap_err()),
        });
        assert!(matches!(refused.await, LiveRefusal::Cold));
        let error = log.fence(room(raw), Epoch(2)).await.unwrap_err();
        assert!(error.to_string().contains("belongs to deployment \"other\""), "{error}");
    }
    for server in &cluster.servers {
        assert_eq!(server.keys("bob:*:meta"), [""; 0], "nothing was written");
    }
    assert!(matches!(refusal(own).await, CheckError::OtherDeployment { .. }));
}

#[tokio::test]
async fn a_cluster_that_lost_its_data_is_ours_again_with_the_first_room() {
    let cluster = RedisCluster::start();
    let log = RedisLog::connect(options_of(cluster.address())).await.unwrap();
    cluster.servers.iter().for_each(|server| drop(server.cli(&["FLUSHALL"])));
    open(&log, room(7), 1, 0).await;
    let marks: Vec<_> = cluster.servers.iter().flat_map(|server| server.keys("bob:{*}:deployment")).collect();
    assert_eq!(marks.len(), 1, "{marks:?}");
}

/// Asks again while the node looks for the servers that are there now.
async fn persist<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    let begin = std::time::Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "the servers are not found again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The list in docs/operations.md: with fewer rights an append may fail in its middle.
#[tokio::test]
async fn the_rights_that_the_manual_names_are_enough() {
    const RIGHTS: &str = "evalsha eval info get set srandmember hmget hset hdel xadd xrange xtrim sadd srem zadd \
                          zremrangebyscore unlink time publish spublish";
    let server = RedisServer::start();
    let rights: Vec<_> = RIGHTS.split_whitespace().map(|command| format!("+{command}")).collect();
    let user = ["ACL", "SETUSER", "node", "on", ">secret", "~bob:*", "&bob:*", "-@all"];
    server.cli(&[&user[..], &rights.iter().map(String::as_str).collect::<Vec<_>>()].concat());
    let url = format!("redis://node:secret@{}", server.address());
    let log = RedisLog::connect(options_of(Servers::One(url))).await.unwrap();
    for epoch in [1, 2] {
        open(&log, room(7), epoch, 0).await;
    }
    open(&log, room(8), 1, 0).await;
    let keyed = batch(room(8), vec![message(room(8), 1, Some("key"), "hello")]);
    let position = event(&log.append(keyed).await.unwrap().outcomes[0]).position();
    assert_eq!(log.unarchived(10).await.unwrap(), [room(8)]);
    log.advance(room(8), position).await.unwrap();
    log.tail(room(8), Sequence::ZERO, 10).await.unwrap();
    log.incarnation().await.unwrap();
    assert_eq!(server.info("errorstats", "errorstat_NOPERM"), "", "nothing was tried that is not allowed");
    let wrong = Servers::One(format!("redis://node:wrong@{}", server.address()));
    let error = refusal(options_of(wrong)).await;
    assert!(matches!(&error, CheckError::Unreachable(cause) if !cause.contains("wrong@")), "{error}");
}
