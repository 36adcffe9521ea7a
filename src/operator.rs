//! What an operator has done: on a running server through its own listener, or on a data folder that no
//! server uses.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bobchat_actors::ports::Unavailable;
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};

use crate::auth;
use crate::settings::Settings;

/// Users that are made at once; the store commits them together.
const AT_ONCE: usize = 256;

/// Copies the store to a path while it is in use; returns the bytes written.
pub type Backup = Arc<dyn Fn(&Path) -> Result<u64, String> + Send + Sync>;

/// Does what an operator asks.
#[derive(Clone)]
pub struct Operator {
    /// Users and tokens.
    pub auth: Arc<auth::Service>,
    /// Copies the store.
    pub backup: Backup,
    /// What is changed while nodes run.
    pub settings: Settings,
}

/// A user for a load run, signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadToken {
    /// The user's identifier.
    pub user: String,
    /// A token that is good for as long as was asked.
    pub access_token: String,
}

impl Operator {
    /// Gives a user the rights of an administrator; `false` when nobody has that handle.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn grant(&self, handle: &str) -> Result<bool, Unavailable> {
        self.auth.grant_admin(handle).await
    }

    /// Signs tokens for the users load-000001, load-000002 and so on, who are made once and used again.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn tokens(&self, count: u32, lifetime: Duration) -> Result<Vec<LoadToken>, Unavailable> {
        let tokens = futures_util::stream::iter(1..=count).map(|number| async move {
            let (user, access_token) = self.auth.token_for(&format!("load-{number:06}"), lifetime).await?;
            Ok(LoadToken { user: user.to_string(), access_token })
        });
        tokens.buffered(AT_ONCE).try_collect().await
    }
}
