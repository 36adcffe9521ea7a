use async_trait::async_trait;
use bobchat_actors::operations::Acting;
use bobchat_actors::ports::{Authenticator, Identity, SignedOutDevice, Unavailable};
use bobchat_proto::error::ErrorCode;
use bobchat_proto::ids::{DeviceId, UserId};
use bobchat_proto::wire;
use jsonwebtoken::Algorithm;

use super::access::{self, Claims, Expected, Refused, Unverified};
use super::accounts::Subject;
use super::service::Service;
use super::{MICROS_PER_SECOND, unauthenticated, unavailable};

/// Why somebody is not let in.
enum Denied {
    Refused(Refused),
    Unavailable(Unavailable),
}

impl From<Refused> for Denied {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Unavailable> for Denied {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error)
    }
}

#[async_trait]
impl Authenticator for Service {
    async fn authenticate(&self, token: &str) -> Result<Identity, wire::Error> {
        self.identify(token).await.map_err(|denied| match denied {
            Denied::Refused(Refused::Invalid) => unauthenticated(),
            Denied::Refused(Refused::Expired) => ErrorCode::TokenExpired.error("the token has ended"),
            Denied::Unavailable(error) => unavailable(&error),
        })
    }

    fn forget(&self, who: SignedOutDevice) {
        let SignedOutDevice { user, device } = who;
        self.known.forget(|(known, on)| *known == user && (device.is_none() || *on == device));
    }
}

impl Service {
    async fn identify(&self, token: &str) -> Result<Identity, Denied> {
        let seen = access::inspect(token)?;
        let (user, device, claims) = if seen.issuer == self.config.issuer {
            self.identify_own(token, &seen).await?
        } else {
            self.identify_external(token, &seen).await?
        };
        let known = self.known(user, device).await?.filter(|known| !known.signed_out).ok_or(Refused::Invalid)?;
        let acting = Acting { user, device, admin: known.admin };
        Ok(Identity { acting, user: known.user, expires_at: claims.exp.saturating_mul(MICROS_PER_SECOND) })
    }

    async fn identify_own(&self, token: &str, seen: &Unverified) -> Result<(UserId, Option<DeviceId>, Claims), Denied> {
        let kid = seen.kid.as_deref().ok_or(Refused::Invalid)?;
        let now = self.clock.now_micros();
        let verified = self.keys.with_verifier(kid, |key, is_current| {
            let (issuer, audience) = (&self.config.issuer, &self.config.audience);
            let expected = Expected { key: &key.decoding, algorithm: Algorithm::EdDSA, issuer, audience };
            let verified = access::verify(token, &expected, now);
            // All that an old key signed has ended: its bearer refreshes, and a thief of the key is refused.
            if is_current { verified } else { verified.and(Err(Refused::Expired)) }
        });
        let claims = verified.await?.ok_or(Refused::Invalid)??;
        let user = claims.sub.parse().map_err(|_| Refused::Invalid)?;
        let device = claims.device.as_deref().map(str::parse).transpose().map_err(|_| Refused::Invalid)?;
        Ok((user, device, claims))
    }

    async fn identify_external(
        &self,
        token: &str,
        seen: &Unverified,
    ) -> Result<(UserId, Option<DeviceId>, Claims), Denied> {
        let claims = self.external.verify(token, seen, self.clock.now_micros())?;
        let key = (claims.iss.clone(), claims.sub.clone());
        if let Some(user) = self.subjects.get(&key) {
            return Ok((user, None, claims));
        }
        let name = claims.name.as_deref().or(claims.preferred_username.as_deref());
        let subject = Subject { issuer: &claims.iss, subject: &claims.sub };
        let (user, is_new) = self.accounts.of_subject(&subject, name).await?;
        if is_new {
            self.seen_first(user);
        }
        self.subjects.put(key, user);
        Ok((user, None, claims))
    }
}
