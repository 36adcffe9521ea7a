//! Signing a connection in: judges the token, takes the connection into its user's list, and gathers what
//! a client needs to show its first screen.

use std::future::Future;
use std::rc::Rc;

use bobchat_proto::error::ErrorCode;
use bobchat_proto::ids::{Position, RoomId};
use bobchat_proto::limits::{CURSORS_MAX, PAGE_ITEMS_MAX};
use bobchat_proto::wire;

use super::catch_up;
use crate::hub::SessionId;
use crate::operations::{self, Acting};
use crate::ports::Identity;
use crate::user::{Connect, ConnectError, Disconnect};
use crate::worker::Worker;

/// A connection that is signed in.
pub(super) struct SignedIn {
    pub(super) identity: Identity,
    pub(super) answer: wire::AuthOk,
    /// The rooms that it receives from now on, each with the seq after which its events begin.
    pub(super) resumed: Vec<(RoomId, Position)>,
}

pub(super) async fn sign_in(
    worker: Rc<Worker>,
    session: SessionId,
    judging: impl Future<Output = Result<Identity, wire::Error>>,
    cursors: Vec<wire::Cursor>,
) -> Result<SignedIn, wire::Error> {
    if cursors.len() > CURSORS_MAX {
        let message = format!("at most {CURSORS_MAX} cursors; subscribe to the others afterwards");
        return Err(ErrorCode::InvalidRequest.error(message).with_field("cursors"));
    }
    let identity = judging.await?;
    connect(&worker, session, identity.acting).await?;
    match gather(&worker, &identity, cursors).await {
        Ok((answer, resumed)) => Ok(SignedIn { identity, answer, resumed }),
        Err(error) => {
            if let Some(user) = worker.core.users.find(identity.acting.user) {
                // The connection stays and may sign in again: it must not count twice.
                user.do_send(Disconnect { session });
            }
            Err(error)
        }
    }
}

/// Takes the connection into its user's list.
async fn connect(worker: &Rc<Worker>, session: SessionId, acting: Acting) -> Result<(), wire::Error> {
    loop {
        let connect = Connect { session, worker: worker.index, device: acting.device };
        match worker.user(acting.user).send(connect).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error @ ConnectError::TooMany)) => {
                worker.core.metrics.connections_refused.inc();
                return Err(ErrorCode::TooManyConnections.error(error.to_string()).with_retry_after(CONNECTIONS_WAIT));
            }
            Ok(Err(error @ ConnectError::SignedOut)) => return Err(ErrorCode::Unauthenticated.error(error.to_string())),
            // The user was about to stop: the next one is new.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// The wait that is advised to a client whose user has too many connections.
const CONNECTIONS_WAIT: std::time::Duration = std::time::Duration::from_secs(30);

async fn gather(
    worker: &Rc<Worker>,
    identity: &Identity,
    cursors: Vec<wire::Cursor>,
) -> Result<(wire::AuthOk, Vec<(RoomId, Position)>), wire::Error> {
    let request = wire::RoomList { after: None, limit: Some(PAGE_ITEMS_MAX) };
    let listed = operations::room_list(worker, identity.acting, request).await?;
    let mut subscribed = Vec::with_capacity(cursors.len());
    let mut resumed = Vec::with_capacity(cursors.len());
    for cursor in cursors {
        let (answer, resume) = inquire(worker, identity.acting, cursor).await;
        subscribed.push(answer);
        resumed.extend(resume);
    }
    let answer = wire::AuthOk {
        user: Some(identity.user.clone()),
        expires_at: identity.expires_at,
        rooms: listed.rooms,
        has_more: listed.has_more,
        subscribed,
    };
    Ok((answer, resumed))
}

async fn inquire(
    worker: &Rc<Worker>,
    acting: Acting,
    cursor: wire::Cursor,
) -> (wire::SubscribeOk, Option<(RoomId, Position)>) {
    let wire::Cursor { room, epoch, seq } = cursor;
    let position = Position::from(wire::Position { epoch, seq });
    let subscribe = wire::Subscribe { room, cursor: Some(position.into()) };
    match catch_up::inquire(worker.clone(), acting, subscribe).await {
        Ok((id, inquired)) => (inquired.answer, Some((id, inquired.after))),
        Err(error) => (wire::SubscribeOk { room, error: Some(error), ..wire::SubscribeOk::default() }, None),
    }
}
