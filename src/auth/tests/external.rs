use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::*;
use crate::config::{ExternalIssuer, KeySource};

const ISSUER: &str = "https://www.example.org";

/// A site that signs tokens for its people.
struct Site {
    key: EncodingKey,
    algorithm: Algorithm,
    public: Vec<u8>,
    spki: Vec<u8>,
}

fn ed25519() -> Site {
    let pair = Ed25519KeyPair::generate().unwrap();
    let private: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let spki: aws_lc_rs::encoding::PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    Site {
        key: EncodingKey::from_ed_der(private.as_ref()),
        algorithm: Algorithm::EdDSA,
        public: pair.public_key().as_ref().to_vec(),
        spki: spki.as_ref().to_vec(),
    }
}

fn p256() -> Site {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let private = pair.to_pkcs8v1().unwrap();
    let spki: aws_lc_rs::encoding::PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    Site {
        key: EncodingKey::from_ec_der(private.as_ref()),
        algorithm: Algorithm::ES256,
        public: pair.public_key().as_ref().to_vec(),
        spki: spki.as_ref().to_vec(),
    }
}

impl Site {
    fn pem(&self) -> String {
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&self.spki))
    }

    fn jwk(&self, kid: &str) -> Value {
        match self.algorithm {
            Algorithm::EdDSA => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": URL_SAFE_NO_PAD.encode(&self.public)})
            }
            _ => json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig",
                "x": URL_SAFE_NO_PAD.encode(&self.public[1..33]), "y": URL_SAFE_NO_PAD.encode(&self.public[33..])}),
        }
    }

    fn token(&self, kid: Option<&str>, claims: &Value) -> String {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "chat", "sub": "u-17", "exp": NOON + 600, "name": "Grace Hopper"})
}

/// Writes `content` and names it as the keys of the issuer.
fn config(content: &str, source: impl Fn(std::path::PathBuf) -> KeySource) -> (tempfile::NamedTempFile, Auth) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let keys = source(file.path().to_owned());
    let external = vec![ExternalIssuer { issuer: ISSUER.to_owned(), audience: "chat".to_owned(), keys }];
    (file, Auth { external, ..defaults() })
}

#[tokio::test]
async fn a_subject_becomes_a_user_when_first_seen_and_stays_that_user() {
    for site in [ed25519(), p256()] {
        let (_file, config) = config(&site.pem(), KeySource::KeyFile);
        let fixture = fixture_with(config).await;
        let first = fixture.authenticate(&site.token(None, &claims())).await.unwrap();
        assert_eq!((first.user.name.as_str(), first.user.handle.as_str()), ("Grace Hopper", "grace-hopper"));
        assert_eq!(first.acting.device, None);
        let again = fixture.neighbour().await.authenticate(&site.token(Some("any"), &claims())).await.unwrap();
        assert_eq!(again.acting.user, first.acting.user);
        let mut other = claims();
        other["sub"] = json!("u-18");
        let other = fixture.authenticate(&site.token(None, &other)).await.unwrap();
        assert_ne!(other.acting.user, first.acting.user);
    }
}

#[tokio::test]
async fn a_set_of_keys_is_chosen_from_by_name_and_each_key_has_its_algorithm() {
    let (first, second) = (ed25519(), p256());
    let foreign = json!({"kty": "XYZ", "kid": "c"});
    let set = json!({"keys": [first.jwk("a"), second.jwk("b"), foreign]}).to_string();
    let (_file, config) = config(&set, KeySource::JwksFile);
    let fixture = fixture_with(config).await;
    assert_eq!(fixture.code(&first.token(Some("a"), &claims())).await, "ok");
    assert_eq!(fixture.code(&second.token(Some("b"), &claims())).await, "ok");
    for (site, kid) in [(&first, Some("b")), (&second, Some("a")), (&first, None), (&first, Some("c"))] {
        assert_eq!(fixture.code(&site.token(kid, &claims())).await, "unauthenticated", "{kid:?}");
    }
}

#[tokio::test]
async fn a_token_of_another_site_is_held_to_issuer_audience_and_times() {
    let site = ed25519();
    let (_file, config) = config(&site.pem(), KeySource::KeyFile);
    let fixture = fixture_with(config).await;
    for (claim, value, code) in [
        ("iss", json!("https://evil.example"), "unauthenticated"),
        ("iss", json!("bobchat"), "unauthenticated"),
        ("aud", json!("bobchat"), "unauthenticated"),
        ("sub", json!(""), "unauthenticated"),
        ("exp", json!(NOON - 60), "token_expired"),
        ("nbf", json!(NOON + 60), "unauthenticated"),
        ("name", json!("\u{202E}evil"), "ok"),
    ] {
        let mut claims = claims();
        claims[claim] = value;
        assert_eq!(fixture.code(&site.token(None, &claims)).await, code, "{claim}");
    }
    assert_eq!(fixture.code(&ed25519().token(None, &claims())).await, "unauthenticated", "another key");
}

#[tokio::test]
async fn the_public_key_of_another_site_is_no_hmac_secret() {
    let site = ed25519();
    let (_file, config) = config(&site.pem(), KeySource::KeyFile);
    let fixture = fixture_with(config).await;
    for secret in [site.pem().into_bytes(), site.public.clone(), site.spki.clone()] {
        let key = EncodingKey::from_secret(&secret);
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims(), &key).unwrap();
        assert_eq!(fixture.code(&token).await, "unauthenticated");
    }
}

#[test]
fn keys_that_cannot_be_used_are_all_named() {
    let site = p256();
    let cases = [
        (site.pem().replace("PUBLIC", "PRIVATE"), true, "is not a public key in PEM"),
        ("garbage".to_owned(), true, "is not a public key in PEM"),
        ("garbage".to_owned(), false, "is not a JWK set"),
        (json!({"keys": []}).to_string(), false, "holds no key that can be used"),
        (json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}).to_string(), false, "holds a symmetric key"),
        (json!({"keys": [site.jwk("a"), site.jwk("a")]}).to_string(), false, "names two keys \"a\""),
        ("x".repeat(2 << 20), false, "has 2097152 bytes"),
    ];
    for (content, is_pem, expected) in cases {
        let (_file, config) =
            if is_pem { config(&content, KeySource::KeyFile) } else { config(&content, KeySource::JwksFile) };
        let faults = ExternalIssuers::load(&config.external).err().unwrap();
        assert!(faults[0].to_string().contains(expected), "{} {expected}", faults[0]);
    }
    let missing = ExternalIssuer {
        issuer: "a".to_owned(),
        audience: "b".to_owned(),
        keys: KeySource::KeyFile("/nonexistent.pem".into()),
    };
    assert_eq!(ExternalIssuers::load(&[missing.clone(), missing]).err().unwrap().len(), 2);
}
