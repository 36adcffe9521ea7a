//! Finds the one actor of a kind that a key has on this node, and starts it where there is none.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message};

/// The actors of one kind, by key; shared by all threads.
///
/// A panic in a handler closes an actor's mailbox for good: an entry whose mailbox is closed counts as
/// none, and the next one who asks starts another.
pub struct Registry<K, A: Actor> {
    actors: Mutex<HashMap<K, Addr<A>>>,
}

impl<K, A: Actor> Default for Registry<K, A> {
    fn default() -> Self {
        Self { actors: Mutex::new(HashMap::new()) }
    }
}

impl<K: Hash + Eq + Copy, A: Actor> Registry<K, A> {
    /// The live actor of `key`, if there is one.
    pub fn find(&self, key: K) -> Option<Addr<A>> {
        self.lock().get(&key).filter(|address| address.connected()).cloned()
    }

    /// The live actor of `key`; made by `start` on this thread when there is none. `start` hears whether it
    /// replaces one that died.
    pub fn find_or_start(&self, key: K, start: impl FnOnce(bool) -> Addr<A>) -> Addr<A> {
        let mut actors = self.lock();
        match actors.get(&key) {
            Some(address) if address.connected() => address.clone(),
            dead => {
                let address = start(dead.is_some());
                actors.insert(key, address.clone());
                address
            }
        }
    }

    /// All live actors.
    pub fn all(&self) -> Vec<Addr<A>> {
        self.lock().values().filter(|address| address.connected()).cloned().collect()
    }

    /// Forgets the actor of `key`, which is about to stop, unless another has taken its place.
    pub fn forget(&self, key: K, address: &Addr<A>) {
        let mut actors = self.lock();
        if actors.get(&key) == Some(address) {
            actors.remove(&key);
        }
    }

    /// Hands `message` to the actor of `key` as a hint: lost when there is none, or no room in its mailbox.
    pub fn hint<M>(&self, key: K, message: M)
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        if let Some(address) = self.find(key) {
            // A full mailbox means that the actor is busy, and a hint may be lost.
            let _ = address.try_send(message);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<K, Addr<A>>> {
        // A thread that panicked while it held the lock left the map whole: every change is one call.
        self.actors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
