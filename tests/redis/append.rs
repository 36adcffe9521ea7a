use std::time::Instant;

use bobchat::adapters::redis::RedisLog;
use bobchat_actors::ports::{LiveLog as _, Outcome};
use bobchat_proto::ids::{Epoch, Position, Sequence};

use crate::server::RedisServer;
use crate::support::{batch, connect, event, message, open, room, say, tail};

/// How often a command was called, by what the server counts.
fn calls(server: &RedisServer, command: &str) -> u64 {
    let counted = server.info("commandstats", &format!("cmdstat_{command}"));
    let calls = counted.strip_prefix("calls=").and_then(|rest| rest.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

/// Log protocol, rule 5: a burst stays a burst.
#[tokio::test]
async fn an_append_is_one_round_trip_whatever_its_size() {
    let server = RedisServer::start();
    let log = connect(&server).await;
    open(&log, room(7), 1, 0).await;
    say(&log, room(7), "the script is known from now on").await.unwrap();
    // What a script does inside is counted too, but not as EVALSHA.
    server.cli(&["CONFIG", "RESETSTAT"]);
    let before: u64 = server.info("stats", "total_commands_processed").parse().unwrap();
    for size in [1_u64, 2, 50, 400] {
        let events = (0..size).map(|number| message(room(7), number + 1, Some(&format!("{size}/{number}")), "text"));
        log.append(batch(room(7), events.collect())).await.unwrap();
    }
    assert_eq!(calls(&server, "evalsha"), 4);
    assert_eq!((calls(&server, "eval"), calls(&server, "script|load")), (0, 0));
    let inside = calls(&server, "xadd") + 4 * 8 + 8;
    let after: u64 = server.info("stats", "total_commands_processed").parse().unwrap();
    assert!(after - before <= 4 + inside + 8, "nothing is asked beside the scripts: {before} to {after}");
}

#[tokio::test]
async fn a_server_that_has_forgotten_the_scripts_is_told_again() {
    let server = RedisServer::start();
    let log = connect(&server).await;
    open(&log, room(7), 1, 0).await;
    server.cli(&["SCRIPT", "FLUSH"]);
    say(&log, room(7), "one").await.unwrap();
    server.cli(&["CONFIG", "RESETSTAT"]);
    say(&log, room(7), "two").await.unwrap();
    assert_eq!((calls(&server, "evalsha"), calls(&server, "eval")), (1, 0));
    assert_eq!(tail(&log, room(7)).await.len(), 2, "nothing twice");
}

/// Log protocol, rule 8.
#[tokio::test]
async fn keys_are_kept_ten_minutes_and_until_they_are_archived() {
    let server = RedisServer::start();
    let log = connect(&server).await;
    let id = room(7);
    open(&log, id, 1, 0).await;
    let meta = server.keys("*:7:meta").remove(0);
    let ten_minutes_pass = || server.cli(&["HINCRBY", &meta, "turned_at", "-600000000"]);
    let send = async |number: u64, key: &str| {
        log.append(batch(id, vec![message(id, number, Some(key), "text")])).await.unwrap().outcomes.remove(0)
    };
    let advance = async |seq| {
        log.advance(id, Position { epoch: Epoch(1), seq: Sequence(seq) }).await.unwrap();
    };
    send(1, "a").await;
    ten_minutes_pass();
    // The hash of "a" is the older one now.
    event(&send(2, "b").await);
    assert!(matches!(send(9, "a").await, Outcome::Repeated(first) if first.id.get() == 1));
    ten_minutes_pass();
    // "a" is not archived: its hash stays, however old.
    event(&send(3, "c").await);
    assert!(matches!(send(9, "a").await, Outcome::Repeated(_)));
    advance(1).await;
    event(&send(4, "d").await);
    assert_eq!(event(&send(5, "a").await).seq, 5, "from here on the store knows it");
    for (key, first) in [("b", 2), ("c", 3), ("d", 4)] {
        assert!(matches!(send(9, key).await, Outcome::Repeated(stands) if stands.id.get() == first), "{key}");
    }
}

/// What the server's one thread has used: unlike the time of a command, not disturbed by what else runs here.
fn cpu_seconds(server: &RedisServer) -> f64 {
    let used = |field| server.info("cpu", field).parse::<f64>().unwrap();
    used("used_cpu_user_main_thread") + used("used_cpu_sys_main_thread")
}

/// Not a benchmark: says what it is about, on whatever machine runs it.
#[tokio::test]
#[ignore = "prints figures: cargo test --test redis figures -- --ignored --nocapture"]
async fn figures() {
    let server = RedisServer::with(&["--appendonly", "no"]);
    let log = connect(&server).await;
    for size in [1_u64, 8, 64] {
        let id = room(100 + size);
        open(&log, id, 1, 0).await;
        say(&log, id, "warm").await.unwrap();
        let (cpu, mut took) = (cpu_seconds(&server), Vec::new());
        for round in 0..1_000 {
            let events = (0..size)
                .map(|number| {
                    message(id, number + 1, Some(&format!("0123456789abcdef-{round}-{number}")), &"x".repeat(200))
                })
                .collect();
            let begin = Instant::now();
            log.append(batch(id, events)).await.unwrap();
            took.push(begin.elapsed());
        }
        took.sort();
        let cpu = (cpu_seconds(&server) - cpu) * 1_000.0;
        println!("batches of {size}: p50 {:?}, p99 {:?}; CPU of the server {cpu:.0} us", took[500], took[990]);
    }
    for size in [1, 8] {
        println!("{}", many_rooms(&server, &log, size).await);
    }
    let memory = |server: &RedisServer| server.info("memory", "used_memory").parse::<u64>().unwrap();
    let before = memory(&server);
    for number in 0..2_000 {
        open(&log, room(100_000 + number), 1, 0).await;
    }
    println!("an empty room: {} bytes", (memory(&server) - before) / 2_000);
    let before = memory(&server);
    for number in 0..200 {
        let id = room(100_000 + number);
        for part in 0..10_u64 {
            let key = |index| format!("{number}-{part}-{index}");
            let events = (0..10).map(|index| message(id, 1, Some(&key(index)), &"x".repeat(200))).collect();
            log.append(batch(id, events)).await.unwrap();
        }
    }
    println!("100 messages of 200 bytes in a room: {} bytes", (memory(&server) - before) / 200);
    for number in 0..200 {
        log.advance(room(100_000 + number), Position { epoch: Epoch(1), seq: Sequence(100) }).await.unwrap();
    }
    println!("when they are archived: {} bytes", (memory(&server) - before) / 200);
}

async fn many_rooms(server: &RedisServer, log: &RedisLog, size: u64) -> String {
    let (begin, cpu) = (Instant::now(), cpu_seconds(server));
    let rooms = (0..100).map(|number| async move {
        let id = room(1_000 * size + number);
        open(log, id, 1, 0).await;
        for round in 0..100_u64 {
            let key = |part| format!("0123456789abcdef-{round}-{part}");
            let events = (0..size).map(|part| message(id, part + 1, Some(&key(part)), &"x".repeat(200))).collect();
            log.append(batch(id, events)).await.unwrap();
        }
    });
    futures_util::future::join_all(rooms).await;
    let (events, seconds) = (1e4 * f64::from(u32::try_from(size).unwrap()), begin.elapsed().as_secs_f64());
    let cpu = (cpu_seconds(server) - cpu) / events * 1e6;
    let rate = events / seconds;
    format!("100 rooms, batches of {size}: {rate:.0} events/s, CPU of the server {cpu:.1} us an event")
}
