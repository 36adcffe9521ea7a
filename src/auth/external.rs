//! Tokens that other sites sign, with keys that the operator named.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};

use super::access::{self, Claims, Expected, Refused, Unverified};
use crate::config::{ExternalIssuer, KeySource};

/// A file of keys is a few kilobytes; more is a mistake.
const KEY_FILE_BYTES_MAX: u64 = 1 << 20;

/// The bytes of an uncompressed point on P-256 and P-384 (SEC 1, section 2.3.3).
const P256_POINT_BYTES: usize = 65;
const P384_POINT_BYTES: usize = 97;

/// Why an issuer's keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFault {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub cause: String,
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "auth.external: {}: {}", self.path.display(), self.cause)
    }
}

/// A public key with the one algorithm that it verifies.
#[derive(Clone)]
struct PublicKey {
    key: DecodingKey,
    algorithm: Algorithm,
}

#[derive(Clone)]
struct Issuer {
    audience: String,
    /// By name; a name is looked up here and nowhere else, whatever a token puts there.
    keys: HashMap<String, PublicKey>,
    /// The key of tokens without a name: there is one only where there is no choice.
    single: Option<String>,
}

/// The issuers that the operator named, with their keys.
#[derive(Clone, Default)]
pub struct ExternalIssuers {
    issuers: HashMap<String, Issuer>,
}

impl ExternalIssuers {
    /// Reads the keys of all issuers.
    ///
    /// # Errors
    /// Every file that cannot be read or has no key that can be used; the server does not start.
    pub fn load(configured: &[ExternalIssuer]) -> Result<Self, Vec<KeyFault>> {
        let mut issuers = HashMap::new();
        let mut faults = Vec::new();
        for external in configured {
            match load_keys(&external.keys) {
                Ok(keys) => {
                    let single = keys.keys().next().filter(|_| keys.len() == 1).cloned();
                    let issuer = Issuer { audience: external.audience.clone(), keys, single };
                    issuers.insert(external.issuer.clone(), issuer);
                }
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() { Ok(Self { issuers }) } else { Err(faults) }
    }

    /// Verifies a token of one of these issuers whole.
    pub(super) fn verify(&self, token: &str, seen: &Unverified, now: i64) -> Result<Claims, Refused> {
        let issuer = self.issuers.get(&seen.issuer).ok_or(Refused::Invalid)?;
        // A single key verifies whatever name a token gives it: many who sign with one key give none, and
        // a PEM has no name.
        let kid = issuer.single.as_ref().or(seen.kid.as_ref()).ok_or(Refused::Invalid)?;
        let key = issuer.keys.get(kid).ok_or(Refused::Invalid)?;
        let expected =
            Expected { key: &key.key, algorithm: key.algorithm, issuer: &seen.issuer, audience: &issuer.audience };
        access::verify(token, &expected, now)
    }
}

fn load_keys(source: &KeySource) -> Result<HashMap<String, PublicKey>, KeyFault> {
    let (KeySource::KeyFile(path) | KeySource::JwksFile(path)) = source;
    let fault = |cause: String| KeyFault { path: path.clone(), cause };
    let bytes = read_bounded(path).map_err(fault)?;
    let keys = match source {
        KeySource::KeyFile(_) => from_pem(&bytes).map(|key| HashMap::from([(String::new(), key)])),
        KeySource::JwksFile(_) => from_jwks(&bytes),
    };
    keys.map_err(fault)
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > KEY_FILE_BYTES_MAX {
        return Err(format!("has {length} bytes; a file of keys has at most {KEY_FILE_BYTES_MAX}"));
    }
    std::fs::read(path).map_err(|error| error.to_string())
}

/// A PEM does not say its algorithm: Ed25519 and the curves have but one, RSA gets the common one.
fn from_pem(pem: &[u8]) -> Result<PublicKey, String> {
    let expected = "is not a public key in PEM (Ed25519, P-256, P-384 or RSA)";
    if let Ok(key) = DecodingKey::from_ed_pem(pem) {
        return Ok(PublicKey { key, algorithm: Algorithm::EdDSA });
    }
    if let Ok(key) = DecodingKey::from_ec_pem(pem) {
        let algorithm = match key.try_get_as_bytes().map(<[u8]>::len) {
            Ok(P256_POINT_BYTES) => Algorithm::ES256,
            Ok(P384_POINT_BYTES) => Algorithm::ES384,
            _ => return Err(expected.to_owned()),
        };
        return Ok(PublicKey { key, algorithm });
    }
    let key = DecodingKey::from_rsa_pem(pem).map_err(|_| expected.to_owned())?;
    Ok(PublicKey { key, algorithm: Algorithm::RS256 })
}

fn from_jwks(json: &[u8]) -> Result<HashMap<String, PublicKey>, String> {
    let set: JwkSet = serde_json::from_slice(json).map_err(|error| format!("is not a JWK set: {error}"))?;
    let mut keys = HashMap::new();
    let signing = set.keys.iter().filter(|jwk| jwk.common.public_key_use != Some(PublicKeyUse::Encryption));
    for jwk in signing {
        if matches!(jwk.algorithm, AlgorithmParameters::OctetKey(_)) {
            return Err("holds a symmetric key: whoever can verify with it could sign as well".to_owned());
        }
        // Kinds of keys that are not known here stand in many sets beside ones that are.
        let Some(algorithm) = algorithm_of(jwk) else { continue };
        let Ok(key) = DecodingKey::from_jwk(jwk) else { continue };
        let kid = jwk.common.key_id.clone().unwrap_or_default();
        if keys.insert(kid.clone(), PublicKey { key, algorithm }).is_some() {
            return Err(format!("names two keys {kid:?}"));
        }
    }
    if keys.is_empty() { Err("holds no key that can be used".to_owned()) } else { Ok(keys) }
}

/// The algorithm that a key says, if it fits the key; else the one that belongs to its kind.
fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    let (family, usual) = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(_) => (AlgorithmFamily::Ed, Algorithm::EdDSA),
        AlgorithmParameters::RSA(_) => (AlgorithmFamily::Rsa, Algorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => (AlgorithmFamily::Ec, Algorithm::ES256),
            EllipticCurve::P384 => (AlgorithmFamily::Ec, Algorithm::ES384),
            _ => return None,
        },
        _ => return None,
    };
    match jwk.common.key_algorithm {
        None => Some(usual),
        Some(said) => Algorithm::try_from(said).ok().filter(|said| family.algorithms().contains(said)),
    }
}
