//! Access tokens: each way to forge, bend or replay one that the literature knows.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::*;

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Taken apart: header and claims as JSON.
fn open_token(token: &str) -> (Value, Value) {
    let parts: Vec<&str> = token.split('.').collect();
    let read = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    (read(parts[0]), read(parts[1]))
}

/// Signed with the deployment's own key, whatever it says.
fn sign(fixture: &Fixture, header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let ring = fixture.service.keys.ring();
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &ring[0].encoding, Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

async fn sample(fixture: &Fixture) -> (String, Value, Value) {
    let token = fixture.guest("Ada").await.access_token;
    let (header, claims) = open_token(&token);
    (token, header, claims)
}

/// A copy with one entry changed; `Null` takes it away.
fn with(object: &Value, key: &str, value: Value) -> Value {
    let mut copy = object.clone();
    match value {
        Value::Null => copy.as_object_mut().unwrap().remove(key),
        value => copy.as_object_mut().unwrap().insert(key.to_owned(), value),
    };
    copy
}

#[tokio::test]
async fn a_token_of_ours_says_everything_that_it_has_to() {
    let fixture = fixture().await;
    let (_, header, claims) = sample(&fixture).await;
    assert_eq!(header["alg"], "EdDSA");
    for claim in ["iss", "aud", "sub", "device", "jti", "iat", "nbf", "exp"] {
        assert!(!claims[claim].is_null(), "{claim}");
    }
    assert_eq!(fixture.code(&sign(&fixture, &header, &claims)).await, "ok", "the tests sign as the service does");
}

#[tokio::test]
async fn alg_none_is_refused_however_it_is_written() {
    let fixture = fixture().await;
    let (token, header, claims) = sample(&fixture).await;
    let signature = token.rsplit('.').next().unwrap();
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = part(&with(&header, "alg", json!(alg)));
        for signature in ["", signature] {
            let forged = format!("{header}.{}.{signature}", part(&claims));
            assert_eq!(fixture.code(&forged).await, "unauthenticated", "{alg:?}");
        }
    }
}

#[tokio::test]
async fn a_token_has_three_parts_and_a_signature() {
    let fixture = fixture().await;
    let (token, ..) = sample(&fixture).await;
    let (message, signature) = token.rsplit_once('.').unwrap();
    let five = format!("{token}.a.b");
    let unsigned = format!("{message}.");
    let short = format!("{message}.{}", &signature[..40]);
    for bad in ["", ".", "..", "a.b", "a.b.c", message, &five, &unsigned, &short, &format!("{token} "), "é.é.é"] {
        assert_eq!(fixture.code(bad).await, "unauthenticated", "{bad:?}");
    }
}

#[tokio::test]
async fn the_public_key_is_no_hmac_secret() {
    let fixture = fixture().await;
    let (_, header, claims) = sample(&fixture).await;
    let jwks = fixture.service.jwks();
    let x = jwks["keys"][0]["x"].as_str().unwrap();
    for secret in [URL_SAFE_NO_PAD.decode(x).unwrap(), x.as_bytes().to_vec(), jwks.to_string().into_bytes()] {
        for (name, algorithm) in [("HS256", Algorithm::HS256), ("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)]
        {
            let message = format!("{}.{}", part(&with(&header, "alg", json!(name))), part(&claims));
            let key = EncodingKey::from_secret(&secret);
            let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
            assert_eq!(fixture.code(&format!("{message}.{signature}")).await, "unauthenticated");
        }
    }
}

#[tokio::test]
async fn a_changed_claim_or_a_foreign_key_breaks_the_signature() {
    let fixture = fixture().await;
    let (token, header, claims) = sample(&fixture).await;
    let signature = token.rsplit('.').next().unwrap();
    let changed = format!("{}.{}.{signature}", part(&header), part(&with(&claims, "sub", json!("999"))));
    assert_eq!(fixture.code(&changed).await, "unauthenticated");
    let elsewhere = super::fixture().await;
    let foreign = sign(&elsewhere, &header, &claims);
    assert_eq!(fixture.code(&foreign).await, "unauthenticated");
}

#[tokio::test]
async fn times_are_judged_with_five_seconds_of_leeway() {
    let fixture = fixture().await;
    let (_, header, claims) = sample(&fixture).await;
    for (claim, seconds, code) in [
        ("exp", -4, "ok"),
        ("exp", -5, "token_expired"),
        ("exp", -61, "token_expired"),
        ("nbf", 5, "ok"),
        ("nbf", 6, "unauthenticated"),
        ("iat", 5, "ok"),
        ("iat", 6, "unauthenticated"),
    ] {
        let token = sign(&fixture, &header, &with(&claims, claim, json!(NOON + seconds)));
        assert_eq!(fixture.code(&token).await, code, "{claim} {seconds}");
    }
}

#[tokio::test]
async fn required_claims_have_to_be_there_and_of_the_right_type() {
    let fixture = fixture().await;
    let (_, header, claims) = sample(&fixture).await;
    for (claim, value) in [
        ("exp", Value::Null),
        ("exp", json!((NOON + 60).to_string())),
        ("exp", json!(1e300)),
        ("exp", json!(NOON as f64 + 60.5)),
        ("exp", json!(-1)),
        ("nbf", json!("now")),
        ("iat", json!([])),
        ("iss", Value::Null),
        ("iss", json!("elsewhere")),
        ("iss", json!(["bobchat"])),
        ("aud", Value::Null),
        ("aud", json!("elsewhere")),
        ("aud", json!([])),
        ("aud", json!(["elsewhere"])),
        ("sub", Value::Null),
        ("sub", json!("")),
        ("sub", json!(1)),
        ("sub", json!("0")),
        ("sub", json!("ada")),
        ("sub", json!("12345")),
        ("device", json!("x")),
        ("device", json!("12345")),
        ("device", json!(1)),
    ] {
        let token = sign(&fixture, &header, &with(&claims, claim, value.clone()));
        assert_eq!(fixture.code(&token).await, "unauthenticated", "{claim} {value}");
    }
    let several = with(&claims, "aud", json!(["elsewhere", "bobchat"]));
    assert_eq!(fixture.code(&sign(&fixture, &header, &several)).await, "ok", "RFC 7519 allows a list");
}

#[tokio::test]
async fn a_header_cannot_bring_its_own_key_or_demand_extensions() {
    let fixture = fixture().await;
    let elsewhere = super::fixture().await;
    let (_, header, claims) = sample(&fixture).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let jwk = elsewhere.service.jwks()["keys"][0].clone();
    for (key, value) in [("jwk", jwk), ("jku", json!(url)), ("x5u", json!(url)), ("x5c", json!(["AAAA"]))] {
        let forged = sign(&elsewhere, &with(&header, key, value), &claims);
        assert_eq!(fixture.code(&forged).await, "unauthenticated", "{key}");
    }
    assert!(listener.accept().is_err(), "nothing was fetched");
    let critical = sign(&fixture, &with(&header, "crit", json!(["b64"])), &claims);
    assert_eq!(fixture.code(&critical).await, "unauthenticated");
}

#[tokio::test]
async fn a_key_name_is_only_looked_up() {
    let fixture = fixture().await;
    let (_, header, claims) = sample(&fixture).await;
    let long = "k".repeat(10_000);
    for kid in ["", "../../etc/passwd", "'; DROP TABLE keys; --", "a\u{0}b", long.as_str()] {
        let token = sign(&fixture, &with(&header, "kid", json!(kid)), &claims);
        assert_eq!(fixture.code(&token).await, "unauthenticated", "{kid:?}");
    }
    let nameless = sign(&fixture, &with(&header, "kid", Value::Null), &claims);
    assert_eq!(fixture.code(&nameless).await, "unauthenticated");
}

#[tokio::test]
async fn a_token_beyond_eight_kib_is_refused_unread() {
    let fixture = fixture().await;
    let (_, header, claims) = sample(&fixture).await;
    let long = with(&claims, "name", json!("x".repeat(8 * 1024)));
    assert_eq!(fixture.code(&sign(&fixture, &header, &long)).await, "unauthenticated");
    assert_eq!(fixture.code(&"a".repeat(100 << 20)).await, "unauthenticated");
}

#[tokio::test]
async fn a_key_that_has_ended_signs_nothing_new() {
    let fixture = fixture().await;
    let (_, header, claims) = sample(&fixture).await;
    fixture.pass(31 * 86_400);
    let stolen = with(&claims, "exp", json!(NOON + 40 * 86_400));
    assert_eq!(fixture.code(&sign(&fixture, &header, &stolen)).await, "token_expired");
}

#[tokio::test]
async fn a_user_that_is_gone_has_no_token() {
    let fixture = fixture().await;
    let (_, header, claims) = sample(&fixture).await;
    let nobody = with(&with(&claims, "sub", json!("4242")), "device", Value::Null);
    assert_eq!(fixture.code(&sign(&fixture, &header, &nobody)).await, "unauthenticated");
}

#[tokio::test]
async fn a_device_of_somebody_else_is_none() {
    let fixture = fixture().await;
    let (_, header, claims) = sample(&fixture).await;
    let other = open_token(&fixture.guest("Bea").await.access_token).1;
    let mixed = with(&claims, "device", other["device"].clone());
    assert_eq!(fixture.code(&sign(&fixture, &header, &mixed)).await, "unauthenticated");
}
