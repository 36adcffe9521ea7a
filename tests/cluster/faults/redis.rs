use std::time::Duration;

use super::{COLD, ELSEWHERE, HOT, begin, end};
use crate::cassandra;
use crate::pool;
use crate::redis::RedisServer;
use crate::run::{PATIENCE, lasting};
use crate::set::Set;
use crate::switch::Switch;

#[test]
fn redis_is_killed_and_comes_back_with_its_data() {
    let mut standing = pool::take();
    let torture = begin(&standing.set);
    let redis = &mut standing.redis;
    redis.kill();
    redis.run();
    end(torture);
}

#[test]
fn redis_is_killed_and_comes_back_empty() {
    let mut standing = pool::take();
    let torture = begin(&standing.set);
    let redis = &mut standing.redis;
    redis.kill();
    redis.forget();
    redis.run();
    end(torture);
}

#[test]
fn a_replica_that_lags_takes_the_place_of_the_primary() {
    let mut primary = RedisServer::start();
    let replica = primary.replica();
    let name = Switch::to(&primary.address());
    let set = Set::with(&format!("redis://{}", name.address), cassandra::shared().address(), &[]);
    let torture = begin(&set);
    replica.pause();
    torture.talk(50, PATIENCE).unwrap();
    primary.kill();
    replica.resume();
    replica.promote();
    name.turn(&replica.address());
    end(torture);
}

#[test]
fn everything_in_redis_is_deleted() {
    let standing = pool::take();
    let torture = begin(&standing.set);
    let redis = &standing.redis;
    redis.cli(&["FLUSHALL"]);
    end(torture);
}

#[test]
fn the_keys_of_rooms_are_deleted_one_room_after_the_other() {
    let standing = pool::take();
    let torture = begin(&standing.set);
    let redis = &standing.redis;
    for room in [HOT, ELSEWHERE, COLD] {
        let keys = redis.keys(&format!("bob:*:{}:*", torture.rooms()[room]));
        assert!(!keys.is_empty(), "a room has keys in Redis");
        let delete: Vec<&str> = std::iter::once("DEL").chain(keys.iter().map(String::as_str)).collect();
        redis.cli(&delete);
        torture.talk(50, PATIENCE).unwrap();
    }
    end(torture);
}

#[test]
fn redis_stands_still_for_longer_than_any_request_waits() {
    let standing = pool::take();
    let torture = begin(&standing.set);
    let redis = &standing.redis;
    redis.pause();
    std::thread::sleep(lasting(Duration::from_secs(35)));
    redis.resume();
    end(torture);
}

#[test]
fn the_memory_of_redis_is_full_for_a_while() {
    let standing = pool::take();
    let torture = begin(&standing.set);
    let redis = &standing.redis;
    redis.cli(&["CONFIG", "SET", "maxmemory", "1mb"]);
    let busy = torture.errors("busy");
    let begun = std::time::Instant::now();
    while torture.errors("busy") < busy + 20 {
        assert!(begun.elapsed() < PATIENCE, "who sends to a full Redis is told so");
        std::thread::sleep(Duration::from_millis(50));
    }
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    end(torture);
}
