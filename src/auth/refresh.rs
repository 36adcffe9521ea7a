//! Refresh tokens: what keeps a device signed in.
//!
//! A token is used once, for the next pair. Of a device's tokens (its family) the store holds the number and
//! the SHA-256 of the newest one and the hash of the one before. Whoever brings an older one has a copy, or
//! had: the family ends for both. A client that lost the answer brings the one before again, within
//! seconds, and gets the same next one.
//!
//! 64 bytes in base64url: device, generation, secret, tag. The tag is an HMAC under a key of the deployment:
//! what nobody here made is refused without a look into the store, and nobody signs a stranger out by
//! inventing an old token of theirs.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bobchat_proto::ids::DeviceId;
use bobchat_proto::record::RefreshFamily;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::MICROS_PER_SECOND;

/// How long the token before the newest still gives the newest once more: for a client that lost the answer
/// and has to find its way back to a network first. Longer would let a thief follow unnoticed for longer.
pub(super) const GRACE_MICROS: i64 = 60 * MICROS_PER_SECOND;

const DEVICE_BYTES: usize = 8;
const GENERATION_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const BODY_BYTES: usize = DEVICE_BYTES + GENERATION_BYTES + SECRET_BYTES;
const TOKEN_BYTES: usize = BODY_BYTES + TAG_BYTES;
/// A token as it is written: base64 without padding.
const TOKEN_LETTERS: usize = (TOKEN_BYTES * 8).div_ceil(6);

/// A refresh token as its bearer has it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct RefreshToken {
    pub(super) device: DeviceId,
    pub(super) generation: u64,
    secret: [u8; SECRET_BYTES],
    tag: [u8; TAG_BYTES],
}

impl RefreshToken {
    /// Makes the first token of a device.
    pub(super) fn first(device: DeviceId, key: &hmac::Key) -> Result<Self, getrandom::Error> {
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret)?;
        Ok(Self::sealed(device, 1, secret, key))
    }

    /// Makes the token after this one. The same token and key give the same next one, so that a repeated
    /// request has the same answer; who has not the key cannot tell it from a random one.
    pub(super) fn next(&self, key: &hmac::Key) -> Self {
        let mut context = hmac::Context::with_key(key);
        context.update(b"next");
        context.update(&self.bytes());
        Self::sealed(self.device, self.generation.saturating_add(1), prefix(&context.sign()), key)
    }

    /// Whether this deployment made the token, with one of its `keys`.
    pub(super) fn is_genuine<'a>(&self, mut keys: impl Iterator<Item = &'a hmac::Key>) -> bool {
        let body = self.body();
        keys.any(|key| bool::from(tag(&body, key).ct_eq(&self.tag)))
    }

    /// What the store knows of the token.
    pub(super) fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.bytes()).to_vec()
    }

    /// Writes the token for its bearer.
    pub(super) fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes())
    }

    /// Reads a token; `None` when it has not the form of one.
    pub(super) fn decode(text: &str) -> Option<Self> {
        // Measured before it is decoded: the text is as long as a client likes.
        if text.len() != TOKEN_LETTERS {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (device, rest) = bytes.split_first_chunk::<DEVICE_BYTES>()?;
        let (generation, rest) = rest.split_first_chunk::<GENERATION_BYTES>()?;
        let (secret, rest) = rest.split_first_chunk::<SECRET_BYTES>()?;
        let (tag, rest) = rest.split_first_chunk::<TAG_BYTES>()?;
        let device = DeviceId::new(u64::from_be_bytes(*device)).ok()?;
        let generation = u64::from_be_bytes(*generation);
        rest.is_empty().then_some(Self { device, generation, secret: *secret, tag: *tag })
    }

    fn sealed(device: DeviceId, generation: u64, secret: [u8; SECRET_BYTES], key: &hmac::Key) -> Self {
        let token = Self { device, generation, secret, tag: [0; TAG_BYTES] };
        Self { tag: tag(&token.body(), key), ..token }
    }

    fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(TOKEN_BYTES);
        body.extend(self.device.get().to_be_bytes());
        body.extend(self.generation.to_be_bytes());
        body.extend(self.secret);
        body
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.body();
        bytes.extend(self.tag);
        bytes
    }
}

fn tag(body: &[u8], key: &hmac::Key) -> [u8; TAG_BYTES] {
    let mut context = hmac::Context::with_key(key);
    context.update(b"tag");
    context.update(body);
    prefix(&context.sign())
}

/// The first bytes of an HMAC; those of SHA-256 has 32 bytes, so none is missing.
fn prefix<const LENGTH: usize>(mac: &hmac::Tag) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    for (byte, from) in bytes.iter_mut().zip(mac.as_ref()) {
        *byte = *from;
    }
    bytes
}

/// What to do about a genuine token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the newest: give out the next one, and store that.
    Rotate,
    /// It is the one before, and a moment ago it was the newest: give out the newest once more.
    Repeat,
    /// It was used before: end the family.
    Reused,
    /// The family has ended.
    Ended,
}

/// Judges a genuine token by what the store knows of its family.
pub(super) fn judge(token: &RefreshToken, family: &RefreshFamily, now: i64) -> Verdict {
    let is = |hash: &[u8]| bool::from(token.hash().ct_eq(hash));
    if family.revoked_at != 0 || family.expires_at <= now {
        return Verdict::Ended;
    }
    match token.generation.checked_sub(family.generation) {
        // The token is newer than the store, which was restored from a backup. The tag says that it is ours.
        Some(1..) => Verdict::Rotate,
        Some(0) if is(&family.hash) => Verdict::Rotate,
        None if is(&family.previous_hash) && now.saturating_sub(family.rotated_at) <= GRACE_MICROS => Verdict::Repeat,
        Some(0) | None => Verdict::Reused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &[u8]) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, name)
    }

    fn first() -> RefreshToken {
        RefreshToken::first(DeviceId::new(7).unwrap(), &key(b"key")).unwrap()
    }

    fn family_after(token: &RefreshToken) -> RefreshFamily {
        let next = token.next(&key(b"key"));
        RefreshFamily {
            user: 1,
            generation: next.generation,
            hash: next.hash(),
            previous_hash: token.hash(),
            rotated_at: 1_000,
            expires_at: i64::MAX,
            revoked_at: 0,
        }
    }

    #[test]
    fn a_token_survives_its_text_form_and_nothing_else_does() {
        let token = first();
        let text = token.encode();
        assert_eq!(text.len(), 86);
        assert!(RefreshToken::decode(&text) == Some(token.clone()));
        assert!(RefreshToken::decode(&text[1..]).is_none());
        assert!(RefreshToken::decode(&format!("{text}A")).is_none());
        assert!(RefreshToken::decode(&"=".repeat(86)).is_none());
        assert!(RefreshToken::decode(&"é".repeat(43)).is_none());
        assert!(RefreshToken::decode(&"A".repeat(86)).is_none(), "device 0");
    }

    #[test]
    fn only_tokens_of_this_deployment_are_genuine() {
        let (mine, other) = (key(b"key"), key(b"other"));
        assert!(first().is_genuine([&other, &mine].into_iter()));
        assert!(!first().is_genuine([&other].into_iter()));
        let forged = RefreshToken { generation: 2, ..first() };
        assert!(!forged.is_genuine([&mine].into_iter()));
        assert!(first().next(&mine).is_genuine([&mine].into_iter()));
    }

    #[test]
    fn the_next_token_is_the_same_each_time_and_different_for_each_token() {
        let token = first();
        assert!(token.next(&key(b"key")) == token.next(&key(b"key")));
        assert!(token.next(&key(b"key")) != first().next(&key(b"key")));
        assert!(token.next(&key(b"key")).secret != token.next(&key(b"other")).secret);
    }

    #[test]
    fn the_newest_token_rotates_and_the_one_before_repeats_for_a_minute() {
        let token = first();
        let (next, family) = (token.next(&key(b"key")), family_after(&token));
        assert_eq!(judge(&next, &family, i64::MAX - 1), Verdict::Rotate);
        assert_eq!(judge(&token, &family, 1_000 + GRACE_MICROS), Verdict::Repeat);
        assert_eq!(judge(&token, &family, 1_001 + GRACE_MICROS), Verdict::Reused);
    }

    #[test]
    fn an_older_or_foreign_token_of_the_family_is_reuse() {
        let oldest = first();
        let old = oldest.next(&key(b"key"));
        let family = family_after(&old);
        assert_eq!(judge(&oldest, &family, 1_000), Verdict::Reused);
        let twin = first().next(&key(b"key"));
        assert_eq!(judge(&twin, &family, 1_000), Verdict::Reused, "the generation before, but not that token");
    }

    #[test]
    fn a_family_that_has_ended_stays_ended() {
        let token = first();
        let (next, family) = (token.next(&key(b"key")), family_after(&token));
        assert_eq!(judge(&next, &RefreshFamily { revoked_at: 5, ..family.clone() }, 10), Verdict::Ended);
        assert_eq!(judge(&next, &RefreshFamily { expires_at: 10, ..family }, 10), Verdict::Ended);
    }

    #[test]
    fn a_store_that_was_restored_accepts_the_newer_token() {
        let token = first();
        let newer = token.next(&key(b"key")).next(&key(b"key"));
        assert_eq!(judge(&newer, &family_after(&token), 10), Verdict::Rotate);
    }
}
