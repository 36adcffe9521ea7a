//! Keeps members signed in for longer than their first token is good for.

use std::time::Duration;

use anyhow::Context as _;
use bobchat_proto::wire::{self, client_frame::Request};

use crate::client::{Credentials, Fleet, Target, renew};
use crate::time::wall_micros;

/// Tokens are not renewed more often than this, however short they are good for.
const PAUSE_MIN: Duration = Duration::from_secs(10);

/// Renews tokens for as long as it runs; waits for ever where nobody can.
///
/// # Errors
/// When the server refuses.
pub(super) async fn keep(fleet: &Fleet, mut users: Vec<Credentials>, target: &Target) -> anyhow::Result<()> {
    loop {
        let first_end =
            users.iter().filter(|user| user.refresh_token.is_some()).filter_map(|user| user.expires_at).min();
        let Some(first_end) = first_end else { return std::future::pending().await };
        // Half of what is left: the renewing itself takes time, and may have to wait behind load.
        let left = u64::try_from(first_end - wall_micros()).unwrap_or(0);
        tokio::time::sleep(Duration::from_micros(left / 2).max(PAUSE_MIN)).await;
        let target = target.clone();
        let renewing = tokio::task::spawn_blocking(move || renew(&target, &users));
        users = renewing.await?.context("could not renew the tokens of users")?;
        for (member, user) in fleet.members().zip(&users) {
            member.renew(user.access_token.clone());
            let renewal = wire::AuthRenew { token: user.access_token.clone() };
            // Whoever loses the connection meanwhile comes back with the new token.
            if member.is_here()
                && let Ok(Err(error)) = member.ask(Request::AuthRenew(renewal)).await
            {
                anyhow::bail!("auth_renew was refused: {}: {}", error.code, error.message);
            }
        }
    }
}
