//! What one worker thread has.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor as _, Addr};
use bobchat_proto::ids::{RoomId, UserId};

use crate::core::Core;
use crate::hub::{Hub, LocalHub};
use crate::room::Room;
use crate::turns::Turns;
use crate::user::User;

/// One worker thread's part of a node: the actors that start here find everything through it.
pub struct Worker {
    /// What all threads share.
    pub core: Arc<Core>,
    /// The thread's connections.
    pub hub: LocalHub,
    /// The thread's number, from 0.
    pub index: usize,
    /// Turns of whoever is not signed in: handshakes, REST, checks of tokens.
    pub strangers: Turns,
    /// Turns of what takes long and was asked for by somebody who is.
    pub(crate) pages: Turns,
    hub_address: OnceCell<Addr<Hub>>,
}

impl Worker {
    /// Starts the part of this thread: to be called once on each.
    pub fn start(core: Arc<Core>) -> Rc<Self> {
        let mut started = None;
        let shared = core.clone();
        core.add_hub(|index| {
            let hub = LocalHub::new(shared.budget.clone(), shared.metrics.clone());
            let (strangers, pages) = (Turns::new(), Turns::new());
            let worker = Rc::new(Self { core: shared, hub, index, strangers, pages, hub_address: OnceCell::new() });
            let address = Hub::new(worker.clone()).start();
            // Set once, here: the cell was empty.
            let _ = worker.hub_address.set(address.clone());
            started = Some(worker);
            address
        });
        match started {
            Some(worker) => worker,
            None => unreachable!("`add_hub` calls its argument"),
        }
    }

    /// The actor of the thread's connections.
    pub fn hub_address(&self) -> Option<Addr<Hub>> {
        self.hub_address.get().cloned()
    }

    /// The room `id`: started on this thread when it is in nobody's memory.
    pub fn room(self: &Rc<Self>, id: RoomId) -> Addr<Room> {
        self.core.rooms.find_or_start(id, |replaces| Room::new(id, self.clone(), replaces).start())
    }

    /// The connected user `id`: started on this thread when there is none.
    pub fn user(self: &Rc<Self>, id: UserId) -> Addr<User> {
        self.core.users.find_or_start(id, |_| User::new(id, self.clone()).start())
    }
}
