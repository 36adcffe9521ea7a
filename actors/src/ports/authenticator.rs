use async_trait::async_trait;
use bobchat_proto::wire;

use crate::operations::Acting;
use crate::ports::SignedOutDevice;

/// Who a token speaks for, and until when.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The user that acts, with their rights.
    pub acting: Acting,
    /// How others see them.
    pub user: wire::User,
    /// When the token ends, in microseconds since 1970.
    pub expires_at: i64,
}

/// Judges access tokens.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// Verifies `token` whole: signature, issuer, audience, times, and that its device is not signed out.
    /// A user of an external issuer is made on first sight.
    ///
    /// # Errors
    /// `unauthenticated` or `token_expired` when the token is no good, `unavailable` when that could not
    /// be found out.
    async fn authenticate(&self, token: &str) -> Result<Identity, wire::Error>;

    /// Somebody signed out, maybe at another node: whatever is remembered of them is asked for anew.
    fn forget(&self, who: SignedOutDevice);
}
