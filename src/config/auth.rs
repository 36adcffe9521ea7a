use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use super::read::{Reader, Section};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Who may sign in and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Auth {
    /// Names this deployment in the tokens that it signs.
    pub issuer: String,
    /// Names in tokens whom they are for.
    pub audience: String,
    /// How long an access token is good.
    pub access_token_lifetime: Duration,
    /// How long a device stays signed in without being used.
    pub refresh_token_lifetime: Duration,
    /// Whether anybody may sign in by choosing a name.
    pub guests: bool,
    /// Others whose tokens are accepted.
    pub external: Vec<ExternalIssuer>,
}

/// Somebody else who signs tokens for users of this deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct ExternalIssuer {
    /// The `iss` of their tokens.
    pub issuer: String,
    /// The `aud` of their tokens.
    pub audience: String,
    /// Their public keys.
    pub keys: KeySource,
}

/// Where an external issuer's public keys stand.
#[derive(Debug, Clone, PartialEq)]
pub enum KeySource {
    /// One public key in PEM.
    KeyFile(PathBuf),
    /// A JWK set.
    JwksFile(PathBuf),
}

impl Auth {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let auth = reader.section("auth", |section| Self {
            issuer: section.get_if("issuer", "bobchat".to_owned(), |text| not_empty(text)),
            audience: section.get_if("audience", "bobchat".to_owned(), |text| not_empty(text)),
            access_token_lifetime: section.within("access_token_lifetime", MINUTE.saturating_mul(15), MINUTE..=DAY),
            refresh_token_lifetime: section.within(
                "refresh_token_lifetime",
                DAY.saturating_mul(30),
                MINUTE..=DAY.saturating_mul(3650),
            ),
            guests: section.get("guests", true),
            external: section.tables("external", read_external).into_iter().flatten().collect(),
        });
        auth.check(reader);
        auth
    }

    fn check(&self, reader: &mut Reader) {
        if self.refresh_token_lifetime < self.access_token_lifetime {
            reader.contradiction(
                "auth.refresh_token_lifetime, auth.access_token_lifetime",
                "a device would be signed out before its access token ends; the refresh token has to live longer",
            );
        }
        if !self.guests && self.external.is_empty() {
            reader.contradiction(
                "auth.guests, auth.external",
                "without guests and without external issuers nobody can sign in; allow one of them",
            );
        }
        let mut seen = HashSet::from([self.issuer.as_str()]);
        for external in &self.external {
            if !seen.insert(&external.issuer) {
                let issuer = &external.issuer;
                reader.contradiction("auth.issuer, auth.external", format!("the issuer {issuer:?} stands there twice"));
            }
        }
    }
}

fn not_empty(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > 256 { Err("expected text of 1 to 256 bytes".to_owned()) } else { Ok(()) }
}

fn read_external(section: &mut Section<'_>) -> Option<ExternalIssuer> {
    let issuer = section.get_if("issuer", String::new(), |text| not_empty(text));
    let audience = section.get_if("audience", String::new(), |text| not_empty(text));
    let key_file: Option<PathBuf> = section.get("key_file", None);
    let jwks_file: Option<PathBuf> = section.get("jwks_file", None);
    for (key, value) in [("issuer", &issuer), ("audience", &audience)] {
        if value.is_empty() {
            section.fault(key, "\"\"", "is required");
        }
    }
    let keys = match (key_file, jwks_file) {
        (Some(path), None) => Some(KeySource::KeyFile(path)),
        (None, Some(path)) => Some(KeySource::JwksFile(path)),
        (first, second) => {
            let given = [first, second].iter().flatten().count();
            section.fault("key_file, jwks_file", format_args!("{given} given"), "exactly one of the two is required");
            None
        }
    }?;
    Some(ExternalIssuer { issuer, audience, keys })
}
