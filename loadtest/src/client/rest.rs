//! Signing in, and what is done before a load over REST: guests, rooms, memberships.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bobchat_proto::wire;
use rustls::crypto::aws_lc_rs::default_provider;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::advice;
use super::fleet::Place;
use super::target::Target;
use crate::ws::Trust;

/// Requests at a time: the server commits what waits in one batch.
const REQUESTS_AT_A_TIME: usize = 16;

/// Who a member is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Credentials {
    /// The access token.
    pub(crate) access_token: String,
    /// What gets the next one; users of a file of tokens have none.
    #[serde(default)]
    pub(crate) refresh_token: Option<String>,
    /// When the access token ends, in microseconds since 1970, where that is known.
    #[serde(default)]
    pub(crate) expires_at: Option<i64>,
}

impl Credentials {
    fn granted(grant: wire::TokenGrant) -> Self {
        let wire::TokenGrant { access_token, refresh_token, access_expires_at, .. } = grant;
        Self { access_token, refresh_token: Some(refresh_token), expires_at: Some(access_expires_at) }
    }
}

/// The server refused a request: what it said, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{advice}")]
pub(crate) struct Refusal {
    pub(crate) error: wire::Error,
    advice: String,
}

/// Reads a file of tokens: a line of JSON each, as `bobchat token --count N` prints them.
///
/// # Errors
/// When the file cannot be read or a line is none.
pub(crate) fn read_tokens(path: &Path) -> anyhow::Result<Vec<Credentials>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).with_context(|| format!("{}:{}: no token", path.display(), number + 1))
        })
        .collect()
}

/// Signs up `count` guests.
///
/// # Errors
/// When the server refuses one ([`Refusal`], with the key to raise), or is not there.
pub(crate) fn sign_in_guests(target: &Target, count: usize) -> anyhow::Result<Vec<Credentials>> {
    let url = format!("{target}/api/v1/guests");
    in_parallel(target, count, |agent, number| {
        let guest = wire::GuestCreate { name: format!("load {number}") };
        post(agent, &url, None, "guests", &guest).map(Credentials::granted)
    })
}

/// Gets users their next tokens, in their order; whoever has no refresh token keeps what they have.
///
/// # Errors
/// When the server refuses one ([`Refusal`]), or is not there.
pub(crate) fn renew(target: &Target, users: &[Credentials]) -> anyhow::Result<Vec<Credentials>> {
    let url = format!("{target}/api/v1/tokens/refresh");
    in_parallel(target, users.len(), |agent, number| {
        let user = users.get(number).context("a user to renew")?;
        let Some(refresh_token) = user.refresh_token.clone() else { return Ok(user.clone()) };
        post(agent, &url, None, "tokens/refresh", &wire::TokenRefresh { refresh_token }).map(Credentials::granted)
    })
}

/// Makes `rooms` rooms and spreads the users over them as members, all over REST: an idle run must be
/// able to begin with nobody connected.
///
/// # Errors
/// When the server refuses a step ([`Refusal`], with the key to raise), or is not there.
pub(crate) fn prepare_places(target: &Target, users: &[Credentials], rooms: usize) -> anyhow::Result<Vec<Place>> {
    ensure!(rooms > 0 && users.len() >= rooms, "each room needs a member");
    let base = format!("{target}/api/v1/rooms");
    let made = in_parallel(target, rooms, |agent, number| {
        let owner = users.get(number).context("each room needs an owner")?;
        let create = serde_json::json!({ "name": format!("load {number}") });
        let made: wire::RoomCreateOk = post(agent, &base, Some(owner), "room_create", &create)?;
        Ok(made.room.context("the server made no room")?.id)
    })?;
    in_parallel(target, users.len(), |agent, number| {
        let credentials = users.get(number).context("a user for each place")?.clone();
        let room = *made.get(number % rooms).context("a room for each place")?;
        if number >= rooms {
            let url = format!("{base}/{room}/join");
            let _: wire::RoomJoinOk = post(agent, &url, Some(&credentials), "room_join", &serde_json::json!({}))?;
        }
        Ok(Place { credentials, room })
    })
}

fn post<T: DeserializeOwned>(
    agent: &ureq::Agent,
    url: &str,
    user: Option<&Credentials>,
    request_name: &str,
    body: &impl serde::Serialize,
) -> anyhow::Result<T> {
    let mut request = agent.post(url);
    if let Some(user) = user {
        request = request.header("Authorization", format!("Bearer {}", user.access_token));
    }
    let mut response = request.send_json(body).with_context(|| format!("could not reach {url}"))?;
    if response.status().is_success() {
        return response.body_mut().read_json().with_context(|| format!("{url} answered what is no {request_name}"));
    }
    let status = response.status();
    match response.body_mut().read_json::<wire::Error>() {
        Ok(error) => bail!(Refusal { advice: advice::of_error(request_name, &error), error }),
        Err(_) => bail!("{url} answered {status}"),
    }
}

fn tls_config(trust: &Trust) -> anyhow::Result<TlsConfig> {
    let authorities = trust.authorities()?.iter().map(|authority| Certificate::from_der(authority).to_owned());
    let builder = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&authorities.collect::<Vec<_>>()));
    Ok(builder.unversioned_rustls_crypto_provider(Arc::new(default_provider())).build())
}

/// Does `work` for each number below `count`, a few at a time, and keeps their order.
fn in_parallel<T: Send>(
    target: &Target,
    count: usize,
    work: impl Fn(&ureq::Agent, usize) -> anyhow::Result<T> + Sync,
) -> anyhow::Result<Vec<T>> {
    let lanes = REQUESTS_AT_A_TIME.min(count.max(1));
    let tls = target.trust().map(tls_config).transpose()?.unwrap_or_default();
    let lane = |lane: usize| -> anyhow::Result<Vec<(usize, T)>> {
        let config = ureq::Agent::config_builder();
        let agent = config
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .tls_config(tls.clone())
            .build();
        let agent = ureq::Agent::new_with_config(agent);
        (lane..count).step_by(lanes).map(|number| Ok((number, work(&agent, number)?))).collect()
    };
    let done: anyhow::Result<Vec<Vec<(usize, T)>>> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..lanes).map(|number| scope.spawn(move || lane(number))).collect();
        running.into_iter().map(|lane| lane.join().map_err(|_| anyhow::anyhow!("a request panicked"))?).collect()
    });
    let mut all: Vec<(usize, T)> = done?.into_iter().flatten().collect();
    all.sort_by_key(|(number, _)| *number);
    Ok(all.into_iter().map(|(_, value)| value).collect())
}
