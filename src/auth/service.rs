use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bobchat_actors::names;
use bobchat_actors::operations::Acting;
use bobchat_actors::ports::{Clock, Credentials, Directory, FamilyUpdate, SignedOutDevice, Unavailable};
use bobchat_proto::error::ErrorCode;
use bobchat_proto::ids::{DeviceId, UserId};
use bobchat_proto::record::{self, RefreshFamily};
use bobchat_proto::wire;
use futures_util::future::BoxFuture;

use super::accounts::Accounts;
use super::cache::Cache;
use super::external::ExternalIssuers;
use super::keys::{SigningKeys, micros};
use super::refresh::{self, RefreshToken, Verdict};
use super::{MICROS_PER_SECOND, access, unauthenticated, unavailable};
use crate::config;

/// How long what the store said about a user and a device is believed: a sign-out on another node takes
/// effect here by then, one on this node at once.
const BELIEVED_FOR: Duration = Duration::from_secs(5);

/// Users and devices that are remembered; some 300 bytes each.
const REMEMBERED_MAX: usize = 20_000;

/// Two nodes may rotate one token at the same time, three hardly.
const TRIES: usize = 4;

/// Gives out identifiers that are unique in the deployment.
pub type Identifiers = Arc<dyn Fn() -> Result<u64, Unavailable> + Send + Sync>;

/// What closes the live connections of somebody who was signed out.
type OnSignOut = Box<dyn Fn(SignedOutDevice) -> BoxFuture<'static, ()> + Send + Sync>;

/// What hears of users of other sites who are new here.
type OnFirstSight = Box<dyn Fn(UserId) + Send + Sync>;

/// What [`Service`] needs from outside.
#[derive(Clone)]
pub struct Parts {
    /// Keys and refresh families.
    pub credentials: Arc<dyn Credentials>,
    /// Users.
    pub directory: Arc<dyn Directory>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers for users and devices.
    pub identifiers: Identifiers,
}

/// What is known of a user and, where the token names one, of their device.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) user: wire::User,
    pub(super) admin: bool,
    pub(super) signed_out: bool,
}

/// Everything about signing in.
pub struct Service {
    pub(super) config: config::Auth,
    /// Whether there are guests now.
    guests: AtomicBool,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) keys: SigningKeys,
    pub(super) external: ExternalIssuers,
    pub(super) accounts: Accounts,
    pub(super) known: Cache<(UserId, Option<DeviceId>), Known>,
    pub(super) subjects: Cache<(String, String), UserId>,
    credentials: Arc<dyn Credentials>,
    on_sign_out: OnceLock<OnSignOut>,
    on_first_sight: OnceLock<OnFirstSight>,
}

impl Service {
    /// Opens the service; makes the first signing key where there is none.
    ///
    /// # Errors
    /// [`Unavailable`] when the store does not answer.
    pub async fn open(config: config::Auth, external: ExternalIssuers, parts: Parts) -> Result<Self, Unavailable> {
        let Parts { credentials, directory, clock, identifiers } = parts;
        let keys = SigningKeys::open(credentials.clone(), clock.clone(), config.access_token_lifetime).await?;
        let accounts = Accounts { directory, clock: clock.clone(), identifiers };
        Ok(Self {
            guests: AtomicBool::new(config.guests),
            config,
            clock,
            keys,
            external,
            accounts,
            known: Cache::new(BELIEVED_FOR, REMEMBERED_MAX),
            subjects: Cache::new(Duration::from_secs(3600), REMEMBERED_MAX),
            credentials,
            on_sign_out: OnceLock::new(),
            on_first_sight: OnceLock::new(),
        })
    }

    /// Says how live connections are closed when somebody is signed out, on all nodes; a sign-out waits for it.
    /// Only the first call counts.
    pub fn on_sign_out(&self, close: impl Fn(SignedOutDevice) -> BoxFuture<'static, ()> + Send + Sync + 'static) {
        let _ = self.on_sign_out.set(Box::new(close));
    }

    /// Says what hears of users of other sites who are new here. Only the first call counts.
    pub fn on_first_sight(&self, hear: impl Fn(UserId) + Send + Sync + 'static) {
        let _ = self.on_first_sight.set(Box::new(hear));
    }

    /// Tells of a user who is new here.
    pub(super) fn seen_first(&self, user: UserId) {
        tracing::info!(user.id = user.get(), "a user of another site came for the first time");
        if let Some(hear) = self.on_first_sight.get() {
            hear(user);
        }
    }

    /// Has guests be signed up from now on, or not. Those who are there stay.
    pub fn set_guests(&self, guests: bool) {
        self.guests.store(guests, Ordering::Relaxed);
    }

    /// Signs up a guest and signs in their device.
    ///
    /// # Errors
    /// `forbidden` where there are no guests, `invalid_request` for a name that is none, `unavailable`.
    pub async fn create_guest(&self, request: &wire::GuestCreate) -> Result<wire::TokenGrant, wire::Error> {
        if !self.guests.load(Ordering::Relaxed) {
            return Err(ErrorCode::Forbidden.error("this server has no guests; sign in at your own site"));
        }
        let name = names::display_name(&request.name)
            .map_err(|error| ErrorCode::InvalidRequest.error(format!("name {error}")).with_field("name"))?;
        let (id, user) = self.accounts.create(name).await.map_err(|error| unavailable(&error))?;
        tracing::info!(user.id = id.get(), "a guest signed up");
        self.sign_in(id, &user).await.map_err(|error| unavailable(&error))
    }

    /// Exchanges a refresh token for the next pair.
    ///
    /// # Errors
    /// `unauthenticated` when the token is no good: sign in again. A token that was used before also ends
    /// the device's family and its connections. `unavailable`: try again with the same token.
    pub async fn refresh(&self, request: &wire::TokenRefresh) -> Result<wire::TokenGrant, wire::Error> {
        let token = RefreshToken::decode(&request.refresh_token);
        let ring = self.keys.ring();
        let token = token.filter(|token| token.is_genuine(ring.iter().map(|key| &key.refresh)));
        let token = token.ok_or_else(unauthenticated)?;
        let granted = self.exchange(&token).await.map_err(|error| unavailable(&error))?;
        granted.ok_or_else(unauthenticated)
    }

    /// Signs out the device that `acting` used: its tokens end at once, its connections close.
    ///
    /// # Errors
    /// `forbidden` when the token belongs to no device, `unavailable`.
    pub async fn sign_out(&self, acting: &Acting) -> Result<(), wire::Error> {
        let error = || ErrorCode::Forbidden.error("this token belongs to no device; sign out where it was made");
        let device = acting.device.ok_or_else(error)?;
        self.revoke(device).await.map_err(|error| unavailable(&error))
    }

    /// Makes a new signing key when the newest one grows old. To be called every hour or so.
    ///
    /// # Errors
    /// [`Unavailable`]: the old key goes on signing; try again later.
    pub async fn rotate_keys(&self) -> Result<(), Unavailable> {
        self.keys.rotate().await
    }

    /// The public keys of this deployment as a JWK set.
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        self.keys.jwks()
    }

    /// Gives a user the rights of an administrator. `false` when nobody has that handle.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn grant_admin(&self, handle: &str) -> Result<bool, Unavailable> {
        let directory = &self.accounts.directory;
        let Some(id) = directory.user_by_handle(handle.trim_start_matches('@')).await? else { return Ok(false) };
        let Some(user) = self.user(id).await? else { return Ok(false) };
        let granted = directory.update_user(id, record::User { admin: true, ..user }).await?;
        self.known.forget(|(user, _)| *user == id);
        Ok(granted)
    }

    /// Signs an access token for the user with exactly this handle, who is made when there is none: for
    /// load tests. It belongs to no device.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn token_for(&self, handle: &str, lifetime: Duration) -> Result<(UserId, String), Unavailable> {
        let user = self.accounts.of_handle(handle).await?;
        let (token, _) = self.access_token(user, None, lifetime)?;
        Ok((user, token))
    }

    /// Reads what has to be known of who brings a token; `None` when there is no such user or device.
    pub(super) async fn known(&self, user: UserId, device: Option<DeviceId>) -> Result<Option<Known>, Unavailable> {
        if let Some(known) = self.known.get(&(user, device)) {
            return Ok(Some(known));
        }
        let Some(record) = self.user(user).await? else { return Ok(None) };
        let signed_out = match device {
            None => false,
            Some(device) => match self.credentials.family(device).await? {
                Some(family) => family.user != user.get() || family.revoked_at != 0,
                None => true,
            },
        };
        let known = Known { user: to_wire(user, &record), admin: record.admin, signed_out };
        self.known.put((user, device), known.clone());
        Ok(Some(known))
    }

    async fn user(&self, user: UserId) -> Result<Option<record::User>, Unavailable> {
        Ok(self.accounts.directory.users(&[user]).await?.into_iter().next().map(|(_, record)| record))
    }

    async fn sign_in(&self, user: UserId, record: &record::User) -> Result<wire::TokenGrant, Unavailable> {
        let device = DeviceId::new((self.accounts.identifiers)()?).map_err(Unavailable::new)?;
        let token = self.keys.with_signer(|key| RefreshToken::first(device, &key.refresh))?;
        let token = token.map_err(Unavailable::new)?;
        let family = self.family(user, &token, Vec::new());
        self.credentials.create_family(device, family).await?;
        self.grant(user, record, &token)
    }

    /// Uses a genuine token; `None` when it is no good.
    async fn exchange(&self, token: &RefreshToken) -> Result<Option<wire::TokenGrant>, Unavailable> {
        let Some(mut family) = self.credentials.family(token.device).await? else { return Ok(None) };
        for _ in 0..TRIES {
            let Ok(user) = UserId::new(family.user) else { return Ok(None) };
            let next = match refresh::judge(token, &family, self.clock.now_micros()) {
                Verdict::Ended => return Ok(None),
                Verdict::Reused => {
                    tracing::warn!(
                        user.id = user.get(),
                        device.id = token.device.get(),
                        "a refresh token was used again"
                    );
                    self.revoke(token.device).await?;
                    return Ok(None);
                }
                Verdict::Repeat => self.repeated(token, &family),
                Verdict::Rotate => Some(self.keys.with_signer(|key| token.next(&key.refresh))?),
            };
            let Some(next) = next else { return Ok(None) };
            let update = match next.generation > family.generation {
                false => FamilyUpdate::Done,
                true => {
                    let replaced = self.family(user, &next, token.hash());
                    self.credentials.update_family(token.device, &family, replaced).await?
                }
            };
            match update {
                FamilyUpdate::Done => {
                    let Some(record) = self.user(user).await? else { return Ok(None) };
                    return self.grant(user, &record, &next).map(Some);
                }
                FamilyUpdate::Changed(now) => family = *now,
                FamilyUpdate::Missing => return Ok(None),
            }
        }
        Err(Unavailable::new("a refresh family changes all the time"))
    }

    /// The newest token, made once more from the one before it.
    fn repeated(&self, token: &RefreshToken, family: &RefreshFamily) -> Option<RefreshToken> {
        let ring = self.keys.ring();
        // The key that signed then may not be the one that signs now.
        ring.iter().map(|key| token.next(&key.refresh)).find(|next| next.hash() == family.hash)
    }

    async fn revoke(&self, device: DeviceId) -> Result<(), Unavailable> {
        let Some(mut family) = self.credentials.family(device).await? else { return Ok(()) };
        while family.revoked_at == 0 {
            let revoked = RefreshFamily { revoked_at: self.clock.now_micros().max(1), ..family.clone() };
            match self.credentials.update_family(device, &family, revoked).await? {
                FamilyUpdate::Done | FamilyUpdate::Missing => break,
                FamilyUpdate::Changed(now) => family = *now,
            }
        }
        self.known.forget(|(_, known)| *known == Some(device));
        if let (Ok(user), Some(close)) = (UserId::new(family.user), self.on_sign_out.get()) {
            close(SignedOutDevice { user, device: Some(device) }).await;
        }
        Ok(())
    }

    fn family(&self, user: UserId, newest: &RefreshToken, previous_hash: Vec<u8>) -> RefreshFamily {
        let now = self.clock.now_micros();
        RefreshFamily {
            user: user.get(),
            generation: newest.generation,
            hash: newest.hash(),
            previous_hash,
            rotated_at: now,
            expires_at: now.saturating_add(micros(self.config.refresh_token_lifetime)),
            revoked_at: 0,
        }
    }

    fn grant(
        &self,
        user: UserId,
        record: &record::User,
        token: &RefreshToken,
    ) -> Result<wire::TokenGrant, Unavailable> {
        let lifetime = self.config.access_token_lifetime;
        let (access_token, access_expires_at) = self.access_token(user, Some(token.device), lifetime)?;
        let user = Some(to_wire(user, record));
        Ok(wire::TokenGrant { user, access_token, access_expires_at, refresh_token: token.encode() })
    }

    /// Signs an access token; also says when it ends, in microseconds.
    fn access_token(
        &self,
        user: UserId,
        device: Option<DeviceId>,
        lifetime: Duration,
    ) -> Result<(String, i64), Unavailable> {
        let now = self.clock.now_micros() / MICROS_PER_SECOND;
        let expires = now.saturating_add(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX));
        let names = (self.config.issuer.as_str(), self.config.audience.as_str());
        let token = self.keys.with_signer(|key| access::sign(key, names, (user, device), now, expires))?;
        Ok((token.map_err(Unavailable::new)?, expires.saturating_mul(MICROS_PER_SECOND)))
    }
}

fn to_wire(id: UserId, user: &record::User) -> wire::User {
    wire::User { id: id.get(), handle: user.handle.clone(), name: user.name.clone() }
}
