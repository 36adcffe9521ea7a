//! The service as a whole, on the memory store, with a clock that the tests move.

mod access;
mod external;
mod sessions;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bobchat_actors::ports::memory::{ManualClock, MemoryStore};
use bobchat_actors::ports::{Authenticator as _, Identity};
use bobchat_proto::wire;

use super::{ExternalIssuers, Parts, Service, install_cryptography};
use crate::config::{Auth, Config, Sources};

/// Noon on the first of January 2026.
const NOON: i64 = 1_767_268_800;

struct Fixture {
    service: Service,
    clock: Arc<ManualClock>,
    parts: Parts,
    /// Whom the service asked to be disconnected.
    signed_out: Arc<Mutex<Vec<u64>>>,
}

fn defaults() -> Auth {
    let file = tempfile::NamedTempFile::new().unwrap();
    Config::load(&Sources { file: Some(file.path().to_owned()), ..Sources::default() }).unwrap().auth
}

async fn fixture_with(config: Auth) -> Fixture {
    install_cryptography();
    let clock = Arc::new(ManualClock::new(NOON * 1_000_000));
    let store = MemoryStore::new(clock.clone());
    let next = AtomicU64::new(1);
    let identifiers: super::Identifiers = Arc::new(move || Ok(next.fetch_add(1, Ordering::SeqCst)));
    let parts = Parts { credentials: store.clone(), directory: store, clock: clock.clone(), identifiers };
    open(config, clock, parts).await
}

async fn open(config: Auth, clock: Arc<ManualClock>, parts: Parts) -> Fixture {
    let external = ExternalIssuers::load(&config.external).unwrap();
    let service = Service::open(config, external, parts.clone()).await.unwrap();
    let signed_out = Arc::new(Mutex::new(Vec::new()));
    let seen = signed_out.clone();
    service.on_sign_out(move |who| {
        seen.lock().unwrap().push(who.user.get());
        Box::pin(std::future::ready(()))
    });
    Fixture { service, clock, parts, signed_out }
}

async fn fixture() -> Fixture {
    fixture_with(defaults()).await
}

impl Fixture {
    /// Another node of the same deployment.
    async fn neighbour(&self) -> Self {
        open(self.service.config.clone(), self.clock.clone(), self.parts.clone()).await
    }

    async fn guest(&self, name: &str) -> wire::TokenGrant {
        self.service.create_guest(&wire::GuestCreate { name: name.to_owned() }).await.unwrap()
    }

    async fn refresh(&self, token: &str) -> Result<wire::TokenGrant, String> {
        let request = wire::TokenRefresh { refresh_token: token.to_owned() };
        self.service.refresh(&request).await.map_err(|error| error.code)
    }

    async fn authenticate(&self, token: &str) -> Result<Identity, String> {
        self.service.authenticate(token).await.map_err(|error| error.code)
    }

    async fn code(&self, token: &str) -> String {
        self.authenticate(token).await.err().unwrap_or_else(|| "ok".to_owned())
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}
