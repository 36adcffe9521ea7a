use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bobchat::adapters::redis::{RedisLog, RedisOptions};
use bobchat_actors::ports::{LiveAppend, LiveLog as _, LiveRefusal, Outcome};
use bobchat_proto::ids::RoomId;

use crate::cluster::RedisCluster;
use crate::server::RedisServer;
use crate::support::{PATIENCE, QUICK, batch, connect, event, message, open, options, options_of, room, say, tail};

/// A log whose calls end soon.
async fn hasty(server: &RedisServer) -> Arc<RedisLog> {
    RedisLog::connect(RedisOptions { timeout: QUICK, ..options(server) }).await.unwrap()
}

/// Asks until the adapter has found its way back; a short pause between, as a node makes.
async fn until_it_answers(log: &RedisLog) {
    let begin = Instant::now();
    while let Err(error) = log.head(room(7)).await {
        assert!(begin.elapsed() < PATIENCE, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_reply_that_never_comes_is_unknown_and_the_key_tells_later() {
    let server = RedisServer::start();
    let (patient, log) = (connect(&server).await, hasty(&server).await);
    let id = room(7);
    open(&patient, id, 1, 0).await;
    say(&patient, id, "the script is known from now on").await.unwrap();
    server.pause();
    let keyed = || batch(id, vec![message(id, 5, Some("k"), "text")]);
    let begin = Instant::now();
    let refusal = log.append(keyed()).await.unwrap_err();
    assert!(matches!(refusal, LiveRefusal::Unknown(_)), "{refusal:?}");
    assert!(begin.elapsed() < PATIENCE / 4, "{:?}", begin.elapsed());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    let late = LiveAppend { deadline: i64::try_from(now).unwrap(), ..batch(id, vec![message(id, 6, None, "late")]) };
    assert!(matches!(log.append(late).await, Err(LiveRefusal::Unknown(_))));
    server.resume();
    until_it_answers(&log).await;
    // The first was done when the server went on; the second came after its deadline.
    let again = patient.append(keyed()).await.unwrap().outcomes.remove(0);
    assert!(matches!(again, Outcome::Repeated(first) if first.id.get() == 5), "{again:?}");
    assert_eq!(tail(&patient, id).await.len(), 2);
}

#[tokio::test]
async fn a_server_that_is_down_surely_appends_nothing_and_is_found_again() {
    let mut server = RedisServer::start();
    let log = connect(&server).await;
    let id = room(7);
    open(&log, id, 1, 0).await;
    say(&log, id, "one").await.unwrap();
    server.kill();
    // The first call may still find the broken connection, and then its outcome is open.
    let first = say(&log, id, "two").await.unwrap_err();
    assert!(matches!(first, LiveRefusal::Unknown(_) | LiveRefusal::Full { .. }), "{first:?}");
    for _ in 0..3 {
        let refusal = say(&log, id, "two").await.unwrap_err();
        assert!(matches!(refusal, LiveRefusal::Full { .. }), "{refusal:?}");
    }
    assert!(log.head(id).await.is_err(), "not to be reached is not cold");
    server.run();
    until_it_answers(&log).await;
    assert!(matches!(say(&log, id, "two").await, Err(LiveRefusal::Cold)));
    open(&log, id, 2, 1).await;
    assert_eq!(log.head(id).await.unwrap().unwrap().head.position.epoch.0, 2);
}

/// As an actor does that waits for something else meanwhile.
#[tokio::test]
async fn who_stops_asking_half_way_keeps_nobody_from_finding_the_server_again() {
    let mut server = RedisServer::start();
    let log = hasty(&server).await;
    server.kill();
    log.head(room(7)).await.unwrap_err();
    server.run();
    // It takes connections and says nothing: who asks now is still connecting when it goes on.
    server.pause();
    tokio::time::sleep(QUICK).await;
    let mut begun = std::pin::pin!(log.head(room(7)));
    let mut queued = std::pin::pin!(log.head(room(8)));
    assert!(futures_util::poll!(begun.as_mut()).is_pending());
    assert!(futures_util::poll!(queued.as_mut()).is_pending());
    server.resume();
    until_it_answers(&log).await;
}

#[tokio::test]
async fn ending_in_order_is_a_new_life_too() {
    let mut server = RedisServer::start();
    let log = connect(&server).await;
    open(&log, room(7), 1, 0).await;
    server.stop();
    server.run();
    until_it_answers(&log).await;
    assert!(matches!(say(&log, room(7), "one").await, Err(LiveRefusal::Cold)));
}

#[tokio::test]
async fn a_connection_that_is_cut_in_a_burst_loses_and_doubles_nothing() {
    let server = RedisServer::start();
    let log = connect(&server).await;
    let id = room(7);
    open(&log, id, 1, 0).await;
    let senders = (0..20_u64).map(|sender| {
        let log = &log;
        async move {
            for number in 0..50_u64 {
                let (id, key) = (sender * 50 + number + 1, format!("{sender}/{number}"));
                let send = || log.append(batch(room(7), vec![message(room(7), id, Some(&key), "text")]));
                while let Err(refusal) = send().await {
                    assert!(matches!(refusal, LiveRefusal::Unknown(_) | LiveRefusal::Full { .. }), "{refusal:?}");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    });
    let mut cuts = 0;
    let cutting = async {
        loop {
            tokio::time::sleep(Duration::from_millis(30)).await;
            server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
            cuts += 1;
        }
    };
    tokio::select! {
        _ = futures_util::future::join_all(senders) => {}
        () = cutting => {}
    }
    assert!(cuts > 1, "the burst was over before it could be cut twice");
    until_it_answers(&log).await;
    let events = tail(&log, id).await;
    assert!(events.iter().map(|event| event.seq).eq(1..=1_000), "{} events", events.len());
    let ids: std::collections::BTreeSet<_> = events.iter().map(|event| event.id).collect();
    assert!(ids.into_iter().eq(1..=1_000));
}

#[tokio::test]
async fn a_cluster_without_one_master_goes_on_with_the_others() {
    let mut cluster = RedisCluster::start();
    for server in &cluster.servers {
        server.cli(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    let log = RedisLog::connect(options_of(cluster.address())).await.unwrap();
    // A call to a master that is gone is tried for as long as it may last.
    let hasty = RedisOptions { timeout: QUICK, ..options_of(cluster.address()) };
    let hasty = RedisLog::connect(hasty).await.unwrap();
    let rooms: Vec<_> = (1..=30).map(room).collect();
    for &id in &rooms {
        open(&log, id, 1, 0).await;
        event(&say(&log, id, "one").await.unwrap().outcomes[0]);
    }
    let before = log.incarnation().await.unwrap();
    let lives_there = |id: &RoomId| !cluster.servers[2].keys(&format!("bob:*:{id}:meta")).is_empty();
    let (lost, others): (Vec<RoomId>, Vec<RoomId>) = rooms.iter().copied().partition(lives_there);
    assert!((1..=20).contains(&lost.len()), "{} rooms live on the master that is lost", lost.len());
    cluster.servers[2].kill();
    for id in lost.iter().copied() {
        let refusal = say(&hasty, id, "two").await.unwrap_err();
        assert!(matches!(refusal, LiveRefusal::Full { .. } | LiveRefusal::Unknown(_)), "{refusal:?}");
    }
    for id in others {
        assert_eq!(event(&say(&log, id, "two").await.unwrap().outcomes[0]).seq, 2);
    }
    cluster.servers[2].run();
    RedisCluster::wait(&cluster.servers);
    let begin = Instant::now();
    let mut cold = 0;
    for &id in &rooms {
        loop {
            match log.head(id).await {
                Ok(head) => break cold += usize::from(head.is_none()),
                Err(error) => assert!(begin.elapsed() < PATIENCE, "{error}"),
            }
        }
    }
    assert_eq!(cold, lost.len(), "its rooms are cold, the others are not");
    assert_ne!(log.incarnation().await.unwrap(), before);
}
