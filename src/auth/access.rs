//! Access tokens: JSON Web Tokens (RFC 7519), judged as RFC 8725 advises.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bobchat_proto::ids::{DeviceId, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::keys::SigningKey;
use super::{LEEWAY_SECONDS, MICROS_PER_SECOND, TOKEN_BYTES_MAX};

/// What a token of ours says. Times are in seconds since 1970.
#[derive(Debug, Serialize)]
struct OwnClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// What any token has to say, whoever signed it. A time that is not a whole number is refused, as is an
/// `iss` that is a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) sub: String,
    pub(super) exp: i64,
    #[serde(default)]
    pub(super) nbf: Option<i64>,
    #[serde(default)]
    pub(super) iat: Option<i64>,
    #[serde(default)]
    pub(super) device: Option<String>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) preferred_username: Option<String>,
}

/// Why a token is no good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It was good and has ended: the only case that its bearer is told of.
    Expired,
    /// Anything else.
    Invalid,
}

/// Signs a token for `user` that is good from `now` to `expires`, both in seconds.
pub(super) fn sign(
    key: &SigningKey,
    (issuer, audience): (&str, &str),
    (user, device): (UserId, Option<DeviceId>),
    now: i64,
    expires: i64,
) -> Result<String, jsonwebtoken::errors::Error> {
    let mut jti = [0_u8; 12];
    getrandom::fill(&mut jti).map_err(|_| jsonwebtoken::errors::ErrorKind::Provider("no randomness".to_owned()))?;
    let claims = OwnClaims {
        iss: issuer,
        aud: audience,
        sub: user.to_string(),
        device: device.map(|device| device.to_string()),
        jti: URL_SAFE_NO_PAD.encode(jti),
        iat: now,
        nbf: now,
        exp: expires,
    };
    let header = Header { kid: Some(key.kid.clone()), ..Header::new(Algorithm::EdDSA) };
    jsonwebtoken::encode(&header, &claims, &key.encoding)
}

/// What a token says about itself before anybody has verified it: enough to find the key that shall.
pub(super) struct Unverified {
    pub(super) issuer: String,
    pub(super) kid: Option<String>,
}

/// Looks at a token from outside; refuses what is too long, has not three parts, or demands extensions.
pub(super) fn inspect(token: &str) -> Result<Unverified, Refused> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    if token.len() > TOKEN_BYTES_MAX || token.bytes().filter(|byte| *byte == b'.').count() != 2 {
        return Err(Refused::Invalid);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| Refused::Invalid)?;
    // RFC 7515 section 4.1.11: who does not understand a critical extension must refuse the token.
    if header.crit.is_some() {
        return Err(Refused::Invalid);
    }
    let claims: Issuer = jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|_| Refused::Invalid)?;
    Ok(Unverified { issuer: claims.iss, kid: header.kid })
}

/// What a token is held against. The algorithm is the key's: the header may repeat it, but not choose.
pub(super) struct Expected<'a> {
    pub(super) key: &'a DecodingKey,
    pub(super) algorithm: Algorithm,
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
}

/// Verifies a token whole, at the time `now` in microseconds.
pub(super) fn verify(token: &str, expected: &Expected<'_>, now: i64) -> Result<Claims, Refused> {
    let mut validation = Validation::new(expected.algorithm);
    validation.set_issuer(&[expected.issuer]);
    validation.set_audience(&[expected.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // Judged below instead, by the server's own clock and with a leeway of seconds, not a minute.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    let claims = jsonwebtoken::decode::<Claims>(token, expected.key, &validation).map_err(|_| Refused::Invalid)?.claims;
    let now = now / MICROS_PER_SECOND;
    let begins = claims.nbf.unwrap_or(0).max(claims.iat.unwrap_or(0));
    if begins > now.saturating_add(LEEWAY_SECONDS) || claims.exp < 0 || claims.sub.is_empty() {
        return Err(Refused::Invalid);
    }
    if claims.exp.saturating_add(LEEWAY_SECONDS) <= now { Err(Refused::Expired) } else { Ok(claims) }
}
