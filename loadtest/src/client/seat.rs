//! Who a member is, and how it gets to a server.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

use bytes::BytesMut;

use super::target::Target;
use crate::ws;

/// The kernel's buffer of a connection that is read slowly: as small as it gets, or megabytes would wait there
/// before the server notices anything.
const SLOW_RECEIVE_BUFFER_BYTES: u32 = 4096;

/// Where a fleet's connections come from and go to.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// The servers; members take them in turns. All speak the same.
    pub(crate) targets: Vec<Target>,
    /// Addresses of this machine to connect from, in turns; none: the system chooses. Each has some 28 000 ports.
    pub(crate) sources: Vec<IpAddr>,
}

impl Route {
    /// To one server, from wherever.
    pub(crate) fn to(target: &Target) -> Self {
        Self { targets: vec![target.clone()], sources: Vec::new() }
    }
}

/// How a connection is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As fast as it can.
    Fast,
    /// So many bytes a second.
    Slow(usize),
}

/// Who a member is, and how it gets to a server.
pub(crate) struct Seat {
    pub(super) route: Rc<Route>,
    /// The member's place in its fleet.
    pub(super) number: usize,
    /// Which of the servers it comes to first.
    pub(super) first_target: usize,
    /// The room's place among those of the fleet: the simple dialects enter by it.
    pub(super) room_number: usize,
    /// The room to receive, once it is a member of it.
    pub(super) room: Cell<Option<u64>>,
    /// Bobchat's access token; others have none.
    pub(super) token: RefCell<String>,
    pub(super) reading: Reading,
    /// Times that it connected: each time it takes the next server.
    pub(super) visits: Cell<usize>,
}

impl Seat {
    /// Opens a connection to the server whose turn it is. Also gives what was already read of it.
    ///
    /// # Errors
    /// When the server is not there or refuses.
    pub(super) async fn open(&self) -> anyhow::Result<(ws::Stream, BytesMut)> {
        // Members of one room begin at different servers, and whoever comes back comes to another one.
        let turn = self.first_target + self.visits.replace(self.visits.get() + 1);
        let target = self.route.targets.get(turn % self.route.targets.len().max(1));
        let target = target.ok_or_else(|| anyhow::anyhow!("a member needs a server"))?;
        let source = self.route.sources.get(self.number % self.route.sources.len().max(1)).copied();
        let way = ws::Way { source, receive_buffer_bytes: self.receive_buffer_bytes() };
        let Some(request) = target.request(self.room_number as u64) else {
            let stream = ws::connect(&target.authority, way).await?;
            return Ok((ws::Stream::Plain(stream), BytesMut::new()));
        };
        ws::open(&request, way).await.map_err(|error| target.explained(error))
    }

    fn receive_buffer_bytes(&self) -> Option<u32> {
        match self.reading {
            Reading::Fast => None,
            Reading::Slow(_) => Some(SLOW_RECEIVE_BUFFER_BYTES),
        }
    }
}
