//! What nodes tell each other, frame by frame: some are lost, some are late, and each node misses others.

use std::sync::{Arc, Mutex, PoisonError};

use bobchat_actors::ports::memory::{Carrier, OnItsWay};

use crate::random::Random;
use crate::world::World;

/// The stream of a run's randomness that decides about frames: behind those of its clients, which begin at 200.
const STREAM: u64 = 300;

/// How long a frame is late, in milliseconds: several appends of the same room.
const LATE_MILLIS: (u64, u64) = (5, 150);

/// Loses one frame in `once_in` and delays as many.
pub fn lose(world: &World, once_in: usize) {
    let random = Mutex::new(Random::new(world.schedule.seed, STREAM));
    let carrier: Arc<Carrier> = Arc::new(move |told: OnItsWay| {
        let mut random = random.lock().unwrap_or_else(PoisonError::into_inner);
        if random.once_in(once_in) {
            return;
        }
        if !random.once_in(once_in) {
            return told.arrive();
        }
        let late = random.millis(LATE_MILLIS.0, LATE_MILLIS.1);
        tokio::spawn(async move {
            tokio::time::sleep(late).await;
            told.arrive();
        });
    });
    world.network.carry_by(Some(carrier));
}

/// Lets all frames arrive again, at once.
pub fn lose_none(world: &World) {
    world.network.carry_by(None);
}
