use std::time::Duration;

use bobchat_proto::wire::{GuestCreate, TokenGrant, TokenRefresh};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::client::{Client, ClientError};
use crate::secret::Secret;

/// How often one request is sent in all: again after a wait that the server asked for.
const TRIES: usize = 20;

/// Somebody of the cast, signed in as a guest.
pub(super) struct Person {
    server: Client,
    client: Client,
    refresh_token: Secret,
}

impl Person {
    /// Signs up a guest.
    pub(super) fn sign_up(server: &Client, name: &str) -> Result<Self, ClientError> {
        let request = GuestCreate { name: name.to_owned() };
        let grant = patiently(|| server.post("/api/v1/guests", &[], &request))?;
        Ok(Self::signed_in(server, grant))
    }

    /// Reads something.
    pub(super) fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, ClientError> {
        self.ask(|client| client.get(path))
    }

    /// Does something.
    pub(super) fn post<T: DeserializeOwned>(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.ask(|client| client.post(path, headers, body))
    }

    fn signed_in(server: &Client, grant: TokenGrant) -> Self {
        let client = server.with_token(Secret::new(grant.access_token));
        Self { server: server.clone(), client, refresh_token: Secret::new(grant.refresh_token) }
    }

    /// Asks; where the access token has ended, with a new one.
    fn ask<T>(&mut self, ask: impl Fn(&Client) -> Result<T, ClientError>) -> Result<T, ClientError> {
        match patiently(|| ask(&self.client)) {
            Err(ClientError::Refused { code, .. }) if code == "token_expired" => {
                let request = TokenRefresh { refresh_token: self.refresh_token.reveal().to_owned() };
                let grant = patiently(|| self.server.post("/api/v1/tokens/refresh", &[], &request))?;
                *self = Self::signed_in(&self.server, grant);
                patiently(|| ask(&self.client))
            }
            answer => answer,
        }
    }
}

/// Heeds the server's limits: waits as long as it says, then asks the same again.
fn patiently<T>(ask: impl Fn() -> Result<T, ClientError>) -> Result<T, ClientError> {
    for _ in 1..TRIES {
        match ask() {
            Err(ClientError::Refused { status: 429 | 503, retry_after, .. }) => {
                std::thread::sleep(retry_after.unwrap_or(Duration::from_secs(1)));
            }
            answer => return answer,
        }
    }
    ask()
}
