//! A user: the actor that knows a connected user's sessions on this node.

use std::rc::Rc;

use actix::{Actor, ActorContext as _, AsyncContext as _, Context, Handler, Message, MessageResult};
use bobchat_proto::error::CloseCode;
use bobchat_proto::ids::{DeviceId, UserId};

use crate::hub::{Close, HubLink, Push, SessionId};
use crate::room::Frames;
use crate::worker::Worker;

/// A live connection of the user.
struct Connection {
    session: SessionId,
    worker: usize,
    device: Option<DeviceId>,
}

/// The actor of one connected user on this node. It starts with the first connection and stops with the
/// last, and holds little between.
pub struct User {
    id: UserId,
    worker: Rc<Worker>,
    connections: Vec<Connection>,
}

impl User {
    /// The user `id`, without connections yet.
    #[must_use]
    pub fn new(id: UserId, worker: Rc<Worker>) -> Self {
        Self { id, worker, connections: Vec::new() }
    }

    fn link(&self, connection: &Connection) -> Option<HubLink> {
        self.worker.core.hub(connection.worker)
    }

    fn close(&self, connection: &Connection, code: CloseCode) {
        if let Some(link) = self.link(connection) {
            // Must not be lost, and is rare: past the bound.
            link.address.do_send(Close { session: connection.session, code });
        }
    }

    fn stop_when_gone(&mut self, context: &mut Context<Self>) {
        if self.connections.is_empty() {
            self.worker.core.users.forget(self.id, &context.address());
            context.stop();
        }
    }
}

impl Actor for User {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        self.worker.core.metrics.users.inc();
    }
}

impl Drop for User {
    /// An actor that died in a panic still has its connections. Nobody else knows that they are the user's, so a
    /// sign-out would not reach them any more: they come back and are counted anew.
    fn drop(&mut self) {
        for connection in &self.connections {
            self.close(connection, CloseCode::InternalError);
        }
        self.worker.core.metrics.users.dec();
    }
}

/// A connection signed in.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), ConnectError>")]
pub struct Connect {
    /// The connection.
    pub session: SessionId,
    /// The worker thread that it is on.
    pub worker: usize,
    /// The device that it signed in with.
    pub device: Option<DeviceId>,
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The user has as many connections as allowed.
    #[error("the user has too many connections")]
    TooMany,
    /// The device signed out after its token was found good.
    #[error("the device has signed out")]
    SignedOut,
}

impl Handler<Connect> for User {
    type Result = MessageResult<Connect>;

    fn handle(&mut self, connect: Connect, context: &mut Self::Context) -> Self::Result {
        let Connect { session, worker, device } = connect;
        if self.connections.len() >= self.worker.core.options.connections_per_user() {
            return MessageResult(Err(ConnectError::TooMany));
        }
        if self.worker.core.gone_devices.has(device) {
            self.stop_when_gone(context);
            return MessageResult(Err(ConnectError::SignedOut));
        }
        self.connections.push(Connection { session, worker, device });
        MessageResult(Ok(()))
    }
}

/// A connection ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Disconnect {
    /// The connection.
    pub session: SessionId,
}

impl Handler<Disconnect> for User {
    type Result = ();

    fn handle(&mut self, disconnect: Disconnect, context: &mut Self::Context) {
        self.connections.retain(|connection| connection.session != disconnect.session);
        self.stop_when_gone(context);
    }
}

/// A device signed out, or all of them: their connections close.
/// Answered with how many.
#[derive(Debug, Message)]
#[rtype(result = "u32")]
pub struct SignOut {
    /// The device; all when there is none.
    pub device: Option<DeviceId>,
}

impl Handler<SignOut> for User {
    type Result = u32;

    fn handle(&mut self, sign_out: SignOut, _: &mut Self::Context) -> u32 {
        let concerned = |connection: &&Connection| sign_out.device.is_none() || connection.device == sign_out.device;
        let concerned: Vec<_> = self.connections.iter().filter(concerned).collect();
        concerned.iter().for_each(|connection| self.close(connection, CloseCode::SignedOut));
        u32::try_from(concerned.len()).unwrap_or(u32::MAX)
    }
}

/// Tells all devices of the user something; a hint.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Tell {
    /// What they are told.
    pub frames: Frames,
}

impl Handler<Tell> for User {
    type Result = ();

    fn handle(&mut self, tell: Tell, _: &mut Self::Context) {
        for connection in &self.connections {
            if let Some(link) = self.link(connection) {
                let push = Push { session: connection.session, frames: tell.frames.clone() };
                // A hub that is full has clients that are behind: they see the change in their room list.
                let _ = link.address.try_send(push);
            }
        }
    }
}
