//! What fuzzing does with tokens: see [`crate::fuzz`].

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;

use super::access::{self, Claims, Expected, Refused};
use super::keys::SigningKey;
use super::refresh::RefreshToken;
use super::{LEEWAY_SECONDS, MICROS_PER_SECOND, install_cryptography};

/// Noon on the first of January 2026.
const NOON_SECONDS: i64 = 1_767_268_800;

const NAME: &str = "bobchat";

/// Made anew for each process: nothing in a corpus is signed by it.
static KEY: LazyLock<Option<SigningKey>> = LazyLock::new(|| {
    install_cryptography();
    SigningKey::generate(NOON_SECONDS * MICROS_PER_SECOND).ok()
});

/// An access token as a client brings it. Held: who has not the key has no token.
pub(crate) fn access_token(bytes: &[u8]) {
    let Ok(token) = std::str::from_utf8(bytes) else { return };
    // A token that looks wrong from outside is not verified; here it is, and still refused.
    let _seen = access::inspect(token);
    assert!(verify(token).is_err(), "a token without a signature was taken");
}

/// Header and claims of a token, apart by a line break, under a good signature: whatever else a token can say wrong.
/// Held: what is taken names somebody and has not ended.
pub(crate) fn claims(bytes: &[u8]) {
    let Some(key) = KEY.as_ref() else { return };
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n').map(|part| URL_SAFE_NO_PAD.encode(part));
    let (Some(header), Some(claims)) = (parts.next(), parts.next()) else { return };
    let message = format!("{header}.{claims}");
    let Ok(signature) = jsonwebtoken::crypto::sign(message.as_bytes(), &key.encoding, Algorithm::EdDSA) else { return };
    let token = format!("{message}.{signature}");
    let seen = access::inspect(&token);
    if let Ok(claims) = verify(&token) {
        assert!(!claims.sub.is_empty() && claims.iss == NAME, "{claims:?}");
        assert!(claims.exp.saturating_add(LEEWAY_SECONDS) > NOON_SECONDS, "{claims:?}");
        assert!(claims.nbf.max(claims.iat).is_none_or(|begins| begins <= NOON_SECONDS + LEEWAY_SECONDS), "{claims:?}");
        assert!(seen.is_err() || seen.is_ok_and(|seen| seen.issuer == NAME), "looked at and verified differ");
    }
}

/// A refresh token as a client brings it. Held: there is one way to write a token, and who has not the key has none.
pub(crate) fn refresh_token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some(token) = RefreshToken::decode(text) else { return };
    assert_eq!(token.encode(), text, "there is one way to write a token");
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"a key that is in no corpus");
    assert!(!token.is_genuine([&key].into_iter()), "a token that nobody made was taken");
}

fn verify(token: &str) -> Result<Claims, Refused> {
    let Some(key) = KEY.as_ref() else { return Err(Refused::Invalid) };
    let expected = Expected { key: &key.decoding, algorithm: Algorithm::EdDSA, issuer: NAME, audience: NAME };
    access::verify(token, &expected, NOON_SECONDS * MICROS_PER_SECOND)
}
