//! Redis loses everything, and a node that held what it lost dies with it: what `ack` decides about.

use bobchat_loadtest::torture::{Kind, Torture};

use super::{AFTER, begin};
use crate::cassandra;
use crate::pool::{self, Standing};
use crate::redis::RedisServer;
use crate::run::{PATIENCE, agreed_within, judge};
use crate::set::Set;

fn lose_redis_and_a_node(redis: &mut RedisServer, set: &mut Set, torture: &mut Torture) {
    set.nodes[0].kill();
    redis.kill();
    redis.forget();
    redis.run();
    set.nodes[0].run();
    set.nodes[0].wait_until_ready();
    torture.settle(agreed_within()).unwrap();
    torture.stage(AFTER);
    torture.talk(100, PATIENCE).unwrap();
}

#[test]
fn with_ack_history_nothing_is_lost() {
    let mut redis = RedisServer::start();
    let settings = [("CLUSTER__ACK", "history")];
    let mut set = Set::with(&redis.url(), cassandra::shared().address(), &settings);
    let mut torture = begin(&set);
    lose_redis_and_a_node(&mut redis, &mut set, &mut torture);
    let verdict = judge(torture);
    // What was not answered may have been seen, and be gone.
    assert!(verdict.lost() == 0 && verdict.broken().all(|kind| kind == Kind::Vanished), "{verdict}");
}

#[test]
fn with_ack_log_the_one_class_that_is_named_is_lost_and_no_other() {
    let mut standing = pool::take();
    let Standing { set, redis } = &mut *standing;
    let mut torture = begin(set);
    lose_redis_and_a_node(redis, set, &mut torture);
    let verdict = judge(torture);
    assert!(verdict.broken().all(|kind| matches!(kind, Kind::Loss | Kind::Vanished)), "{verdict}");
}
