//! How a client comes: it signs up, finds the rooms, and signs in on each new connection.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bobchat_proto::wire::client_frame::Request;
use bobchat_proto::wire::server_frame::Body;
use bobchat_proto::wire::{self, ClientFrame, ok};
use tokio::time::{sleep, timeout};

use super::visit::{Stream, Visit};
use super::{Membership, PATIENCE, Person, TICK};
use crate::connection::Connection;
use crate::http;
use crate::schedule::ROOMS;

impl Person {
    pub(super) async fn sign_up(&mut self) {
        let body = serde_json::json!({ "name": format!("client {}", self.number) });
        loop {
            match http::ask::<wire::TokenGrant>(self.node, "POST", "/guests", None, Some(&body)).await {
                Ok(grant) => {
                    self.user = grant.user.map(|user| user.id).unwrap_or_default();
                    self.token = grant.access_token;
                    break;
                }
                Err(error) => self.world.story.tell(|| format!("client {} cannot sign up: {error:#}", self.number)),
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// The first client makes the rooms; the others wait for them.
    pub(super) async fn find_rooms(&mut self) {
        if self.number == 0 {
            let mut rooms = Vec::new();
            while rooms.len() < ROOMS {
                let body = serde_json::json!({ "name": format!("room {}", rooms.len()) });
                match http::ask::<wire::RoomCreateOk>(self.node, "POST", "/rooms", Some(&self.token), Some(&body)).await
                {
                    Ok(made) => rooms.extend(made.room.map(|room| room.id)),
                    Err(error) => {
                        self.world.story.tell(|| format!("no room: {error:#}"));
                        sleep(Duration::from_millis(100)).await;
                    }
                }
            }
            *self.world.token.borrow_mut() = Some(self.token.clone());
            *self.world.rooms.borrow_mut() = rooms;
        }
        while self.world.rooms.borrow().is_empty() {
            sleep(TICK).await;
        }
        self.rooms = self.world.rooms.borrow().clone();
        let told = (self.number == 0).then_some(true);
        self.memberships = self.rooms.iter().map(|room| (*room, Membership { wanted: true, told })).collect();
    }

    pub(super) async fn sign_in(&mut self) -> anyhow::Result<Visit> {
        let connection = Connection::open(self.node).await?;
        let mut visit = Visit::on(connection);
        let joined: Vec<u64> = self.rooms.iter().copied().filter(|room| self.is_told(*room)).collect();
        let at_once = if self.random.once_in(2) { joined.len() } else { 0 };
        let (with_auth, later) = joined.split_at(at_once);
        let cursors = with_auth.iter().map(|room| self.cursor(*room)).collect();
        let auth = Request::Auth(wire::Auth { token: self.token.clone(), cursors });
        visit.connection.send(&ClientFrame { id: 1, request: Some(auth) }).await?;
        let welcomed = timeout(PATIENCE, welcome(&mut visit.connection)).await.context("no answer to auth")??;
        self.world.witness.borrow_mut().connected(self.number);
        for room in with_auth {
            visit.streams.insert(*room, Stream { is_wanted: true, has_ended: false });
        }
        for subscribed in &welcomed.subscribed {
            self.resumed(&mut visit, subscribed).await?;
        }
        for room in later {
            self.subscribe(&mut visit, *room).await?;
        }
        Ok(visit)
    }
}

async fn welcome(connection: &mut Connection) -> anyhow::Result<wire::AuthOk> {
    loop {
        match connection.hear().await?.body {
            Some(Body::Ok(wire::Ok { result: Some(ok::Result::Auth(auth)) })) => return Ok(auth),
            // Signals may come before the answer.
            Some(Body::Typing(_) | Body::Presence(_) | Body::Membership(_)) => {}
            other => bail!("instead of the answer to auth: {other:?}"),
        }
    }
}
