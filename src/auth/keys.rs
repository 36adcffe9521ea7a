//! The keys that sign access tokens.
//!
//! The newest key signs; when it grows old a new one is made, and the old one goes on verifying until the
//! last token that it signed has ended. Keys are in the store, so all nodes have the same.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bobchat_actors::ports::{Clock, Credentials, Unavailable};
use bobchat_proto::record;
use jsonwebtoken::{DecodingKey, EncodingKey};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{LEEWAY_SECONDS, MICROS_PER_SECOND};

/// How long a key signs: a stolen one is good for a month at most.
const SIGNS_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A new key is made this long before the old one stops, so that other nodes have it before it is used.
const REPLACED_BEFORE: Duration = Duration::from_secs(24 * 60 * 60);

/// Between two looks into the store for a key that nobody here knows: a flood of forged tokens with
/// invented key names costs the store one read each time.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// One key and what it is used for.
pub(super) struct SigningKey {
    pub(super) kid: String,
    pub(super) encoding: EncodingKey,
    pub(super) decoding: DecodingKey,
    /// Derives and marks refresh tokens; made of the private key, so it is as secret.
    pub(super) refresh: hmac::Key,
    public: Vec<u8>,
    signs_until: i64,
}

impl SigningKey {
    /// Makes a key that begins to sign at `now`, in microseconds.
    pub(super) fn generate(now: i64) -> Result<Self, aws_lc_rs::error::Unspecified> {
        generate(now).map(|record| Self::from_record(&record))
    }

    fn from_record(record: &record::SigningKey) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, &record.private_key);
        let refresh = hmac::sign(&root, b"bobchat refresh tokens, version 1");
        Self {
            kid: record.kid.clone(),
            encoding: EncodingKey::from_ed_der(&record.private_key),
            decoding: DecodingKey::from_ed_der(&record.public_key),
            refresh: hmac::Key::new(hmac::HMAC_SHA256, refresh.as_ref()),
            public: record.public_key.clone(),
            signs_until: record.signs_until,
        }
    }
}

/// All keys of the deployment, oldest first.
pub(super) type KeyRing = Arc<Vec<SigningKey>>;

/// Keeps the keys of this node in step with the store.
pub(super) struct SigningKeys {
    credentials: Arc<dyn Credentials>,
    clock: Arc<dyn Clock>,
    /// How long after a key's end tokens that it signed may still live.
    verifies_for_micros: i64,
    ring: RwLock<KeyRing>,
    reloaded: tokio::sync::Mutex<Instant>,
}

impl SigningKeys {
    /// Loads the keys, and makes the first one where there is none.
    pub(super) async fn open(
        credentials: Arc<dyn Credentials>,
        clock: Arc<dyn Clock>,
        token_lifetime: Duration,
    ) -> Result<Self, Unavailable> {
        let verifies_for_micros =
            micros(token_lifetime).saturating_add(LEEWAY_SECONDS.saturating_mul(MICROS_PER_SECOND));
        let ring = RwLock::new(KeyRing::default());
        let reloaded = tokio::sync::Mutex::new(Instant::now());
        let keys = Self { credentials, clock, verifies_for_micros, ring, reloaded };
        keys.take(&keys.credentials.signing_keys().await?);
        keys.rotate().await?;
        Ok(keys)
    }

    /// Makes a new key when the newest one signs for less than a day, unless another node has just made one: then that
    /// one is taken. To be called every hour or so.
    pub(super) async fn rotate(&self) -> Result<(), Unavailable> {
        let now = self.clock.now_micros();
        if self.ring().last().is_some_and(|newest| newest.signs_until.saturating_sub(now) > micros(REPLACED_BEFORE)) {
            return Ok(());
        }
        let fresh = generate(now).map_err(Unavailable::new)?;
        let (kid, newest) = (fresh.kid.clone(), self.ring().last().map(|newest| newest.kid.clone()));
        let keys = self.credentials.add_signing_key(newest.as_deref(), fresh).await?;
        if keys.iter().any(|key| key.kid == kid) {
            tracing::info!(key.id = kid, "made a new signing key");
        }
        self.take(&keys);
        Ok(())
    }

    /// The keys as this node knows them.
    pub(super) fn ring(&self) -> KeyRing {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs `sign` with the key that signs now: the oldest that has not ended, so that a new one has a day to
    /// reach all nodes; else the newest.
    pub(super) fn with_signer<T>(&self, sign: impl FnOnce(&SigningKey) -> T) -> Result<T, Unavailable> {
        let ring = self.ring();
        let now = self.clock.now_micros();
        let signing = ring.iter().find(|key| key.signs_until > now).or_else(|| ring.last());
        signing.map(sign).ok_or_else(|| Unavailable::new("there is no signing key"))
    }

    /// Runs `verify` with the key of that name; it also hears whether tokens that the key signed may still be
    /// good. A name that is not known may be a key that another node has just made: the store is asked, but
    /// not often.
    pub(super) async fn with_verifier<T>(
        &self,
        kid: &str,
        verify: impl Fn(&SigningKey, bool) -> T,
    ) -> Result<Option<T>, Unavailable> {
        let find = |ring: &KeyRing| {
            let key = ring.iter().find(|key| key.kid == kid)?;
            Some(verify(key, self.verifies(key)))
        };
        if let Some(found) = find(&self.ring()) {
            return Ok(Some(found));
        }
        self.reload().await?;
        Ok(find(&self.ring()))
    }

    /// The public keys as a JWK set (RFC 7517), for whoever wants to verify tokens of ours.
    pub(super) fn jwks(&self) -> serde_json::Value {
        let ring = self.ring();
        let keys = ring.iter().filter(|key| self.verifies(key)).map(|key| {
            serde_json::json!({
                "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
                "kid": key.kid, "x": URL_SAFE_NO_PAD.encode(&key.public),
            })
        });
        serde_json::json!({ "keys": keys.collect::<Vec<_>>() })
    }

    fn verifies(&self, key: &SigningKey) -> bool {
        key.signs_until.saturating_add(self.verifies_for_micros) > self.clock.now_micros()
    }

    async fn reload(&self) -> Result<(), Unavailable> {
        let mut reloaded = self.reloaded.lock().await;
        if reloaded.elapsed() >= RELOAD_INTERVAL {
            *reloaded = Instant::now();
            self.take(&self.credentials.signing_keys().await?);
        }
        Ok(())
    }

    fn take(&self, records: &[record::SigningKey]) {
        let ring = Arc::new(records.iter().map(SigningKey::from_record).collect());
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
    }
}

fn generate(now: i64) -> Result<record::SigningKey, aws_lc_rs::error::Unspecified> {
    let pair = Ed25519KeyPair::generate()?;
    // Version 1 of PKCS #8, without the public key: what jsonwebtoken can make a JWK from.
    let private: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der()?;
    let public_key = pair.public_key().as_ref().to_vec();
    // The name follows from the key: the same on every node, and it says nothing else.
    let kid = Sha256::digest(&public_key).iter().take(9).copied().collect::<Vec<u8>>();
    Ok(record::SigningKey {
        kid: URL_SAFE_NO_PAD.encode(kid),
        private_key: private.as_ref().to_vec(),
        public_key,
        created_at: now,
        signs_until: now.saturating_add(micros(SIGNS_FOR)),
    })
}

/// A duration in microseconds.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
