//! Sets that are used again: making a keyspace takes longer than most faults.

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

use crate::cassandra;
use crate::janitor::remove_afterwards;
use crate::redis::RedisServer;
use crate::set::Set;

/// Sets that nobody uses, each with its Redis.
static IDLE: Mutex<Vec<Standing>> = Mutex::new(Vec::new());

/// A set and its Redis: all nodes run, and nothing is broken.
pub(crate) struct Standing {
    pub(crate) set: Set,
    pub(crate) redis: RedisServer,
}

/// A set that one test has for itself. Whoever breaks it mends it, or fails.
pub(crate) struct Lease(Option<Standing>);

/// Takes a set that nobody uses, or starts one.
pub(crate) fn take() -> Lease {
    let idle = IDLE.lock().unwrap().pop();
    Lease(Some(idle.unwrap_or_else(|| {
        let redis = RedisServer::start();
        let set = Set::with(&redis.url(), cassandra::shared().address(), &[]);
        // Nothing is dropped when this process ends.
        remove_afterwards(redis.folder());
        remove_afterwards(set.folder());
        Standing { set, redis }
    })))
}

impl Deref for Lease {
    type Target = Standing;

    fn deref(&self) -> &Standing {
        self.0.as_ref().expect("it is taken at its end")
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Standing {
        self.0.as_mut().expect("it is taken at its end")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What a test left that failed is no ground for another; dropping it shows what its nodes said.
        if !std::thread::panicking() {
            IDLE.lock().unwrap().extend(self.0.take());
        }
    }
}
