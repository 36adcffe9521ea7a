//! What is done over REST: signing in and rooms before the load, heads and whole logs after it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bobchat_proto::ids::Position;
use bobchat_proto::limits::PAGE_ITEMS_MAX;
use bobchat_proto::wire;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::check::{NodeLog, position};

/// How long a step is tried again when a node says that it may succeed later.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long one answer is waited for: longer than any request of a node takes, on a busy machine.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// Asks nodes over REST.
#[derive(Debug, Clone)]
pub(super) struct Rest {
    agent: ureq::Agent,
}

/// Who somebody is.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) user: u64,
    pub(super) token: String,
}

impl Rest {
    pub(super) fn new() -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        // A node that was stopped and goes on must not be asked on a connection of before.
        let config = config.timeout_global(Some(ANSWER_MAX)).max_idle_connections(0);
        Self { agent: ureq::Agent::new_with_config(config.build()) }
    }

    /// Signs up a guest.
    pub(super) fn sign_up(&self, node: SocketAddr, name: &str) -> anyhow::Result<Account> {
        let grant: wire::TokenGrant = self.post(node, "/guests", None, &json!({ "name": name }))?;
        let user = grant.user.context("a grant without a user")?.id;
        Ok(Account { user, token: grant.access_token })
    }

    /// Makes a room.
    pub(super) fn make_room(&self, node: SocketAddr, owner: &Account, name: &str) -> anyhow::Result<u64> {
        let made: wire::RoomCreateOk = self.post(node, "/rooms", Some(owner), &json!({ "name": name }))?;
        Ok(made.room.context("an answer without the room")?.id)
    }

    /// Makes somebody a member.
    pub(super) fn join(&self, node: SocketAddr, who: &Account, room: u64) -> anyhow::Result<()> {
        let _: wire::RoomJoinOk = self.post(node, &format!("/rooms/{room}/join"), Some(who), &json!({}))?;
        Ok(())
    }

    /// Where a node says that a room ends; asked once.
    pub(super) fn head(&self, node: SocketAddr, who: &Account, room: u64) -> anyhow::Result<Position> {
        let got: wire::RoomGetOk = self.get_once(node, &format!("/rooms/{room}"), who)?;
        Ok(position(got.room.context("an answer without the room")?.head.as_ref()))
    }

    /// All of a room as a node shows it: its events forwards, its messages backwards.
    pub(super) fn log(&self, node: (usize, SocketAddr), who: &Account, room: u64) -> anyhow::Result<NodeLog> {
        let (number, node) = node;
        let mut events: Vec<wire::Event> = Vec::new();
        loop {
            let after = events.last().map_or(0, |event| event.seq);
            let path = format!("/rooms/{room}/events?after={after}&limit={PAGE_ITEMS_MAX}");
            let page: wire::RoomEventsOk = self.get(node, &path, who)?;
            let is_last = !page.has_more || page.events.is_empty();
            events.extend(page.events);
            if is_last {
                break;
            }
        }
        let mut messages: Vec<wire::Event> = Vec::new();
        loop {
            let before = messages.first().map_or(String::new(), |event| format!("&before={}", event.seq));
            let path = format!("/rooms/{room}/messages?limit={PAGE_ITEMS_MAX}{before}");
            let mut page: wire::MessageHistoryOk = self.get(node, &path, who)?;
            let is_last = !page.has_more_before || page.messages.is_empty();
            page.messages.append(&mut messages);
            messages = page.messages;
            if is_last {
                break;
            }
        }
        Ok(NodeLog { room, node: number, events, messages })
    }

    fn post<T: DeserializeOwned>(
        &self,
        node: SocketAddr,
        path: &str,
        who: Option<&Account>,
        body: &serde_json::Value,
    ) -> anyhow::Result<T> {
        let url = format!("http://{node}/api/v1{path}");
        patiently(|| {
            let request = self.agent.post(&url);
            let request = match who {
                Some(who) => request.header("Authorization", format!("Bearer {}", who.token)),
                None => request,
            };
            // One key for all tries of a step: what it makes is made once.
            answer(&url, request.header("Idempotency-Key", key_of(path, body)).send_json(body))
        })
    }

    fn get<T: DeserializeOwned>(&self, node: SocketAddr, path: &str, who: &Account) -> anyhow::Result<T> {
        patiently(|| self.get_once(node, path, who))
    }

    fn get_once<T: DeserializeOwned>(&self, node: SocketAddr, path: &str, who: &Account) -> anyhow::Result<T> {
        let url = format!("http://{node}/api/v1{path}");
        let request = self.agent.get(&url).header("Authorization", format!("Bearer {}", who.token));
        answer(&url, request.call())
    }
}

/// A key for a step: what it asks for names it.
fn key_of(path: &str, body: &serde_json::Value) -> String {
    let name = body.get("name").and_then(serde_json::Value::as_str).unwrap_or_default();
    format!("{path}-{name}").chars().filter(char::is_ascii_alphanumeric).take(64).collect()
}

/// An error that says itself that it may pass.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Temporary(String);

/// Whether an error says that it may pass.
pub(super) fn is_temporary(error: &anyhow::Error) -> bool {
    error.is::<Temporary>()
}

fn answer<T: DeserializeOwned>(
    url: &str,
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> anyhow::Result<T> {
    let mut response = answer.map_err(|error| Temporary(format!("{url}: {error}")))?;
    if response.status().is_success() {
        return response.body_mut().read_json().with_context(|| format!("{url} answered what cannot be read"));
    }
    let status = response.status();
    match response.body_mut().read_json::<wire::Error>() {
        Ok(error) if error.temporary => Err(Temporary(format!("{url}: {}: {}", error.code, error.message)).into()),
        Ok(error) => bail!("{url}: {}: {}", error.code, error.message),
        Err(_) => bail!("{url} answered {status}"),
    }
}

fn patiently<T>(step: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let begin = Instant::now();
    loop {
        match step() {
            Err(error) if is_temporary(&error) && begin.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(100));
            }
            done => return done,
        }
    }
}
