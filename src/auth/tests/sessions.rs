use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bobchat_actors::ports::{Credentials, FamilyUpdate, Unavailable};
use bobchat_proto::ids::DeviceId;
use bobchat_proto::record::{RefreshFamily, SigningKey};

use super::*;

#[tokio::test]
async fn a_guest_gets_a_handle_of_their_name_and_a_token_that_works() {
    let fixture = fixture().await;
    let grant = fixture.guest(" Ada Lovelace ").await;
    let user = grant.user.clone().unwrap();
    assert_eq!((user.handle.as_str(), user.name.as_str()), ("ada-lovelace", "Ada Lovelace"));
    assert_eq!(grant.access_expires_at, (NOON + 15 * 60) * 1_000_000);
    let identity = fixture.authenticate(&grant.access_token).await.unwrap();
    assert_eq!(identity.acting.user.get(), user.id);
    assert!(identity.acting.device.is_some());
    assert!(!identity.acting.admin);
    assert_eq!(identity.user, user);
    assert_eq!(identity.expires_at, grant.access_expires_at);
}

#[tokio::test]
async fn the_second_ada_gets_a_handle_with_a_suffix() {
    let fixture = fixture().await;
    fixture.guest("Ada").await;
    let second = fixture.guest("Ada").await.user.unwrap();
    assert_eq!(second.handle.len(), "ada-xxxxx".len());
    assert!(second.handle.starts_with("ada-"));
}

#[tokio::test]
async fn a_bad_name_is_refused_with_its_field() {
    let fixture = fixture().await;
    for name in ["", "  ", "a\u{202E}b", &"x".repeat(41)] {
        let error = fixture.service.create_guest(&wire::GuestCreate { name: name.to_owned() }).await.unwrap_err();
        assert_eq!((error.code.as_str(), error.field.as_deref()), ("invalid_request", Some("name")), "{name:?}");
    }
}

#[tokio::test]
async fn without_guests_nobody_signs_up() {
    let fixture = fixture_with(Auth { guests: false, ..defaults() }).await;
    let error = fixture.service.create_guest(&wire::GuestCreate { name: "Ada".to_owned() }).await.unwrap_err();
    assert_eq!(error.code, "forbidden");
}

#[tokio::test]
async fn a_refresh_gives_the_next_pair_and_keeps_the_device() {
    let fixture = fixture().await;
    let first = fixture.guest("Ada").await;
    fixture.pass(20 * 60);
    assert_eq!(fixture.code(&first.access_token).await, "token_expired");
    let second = fixture.refresh(&first.refresh_token).await.unwrap();
    assert_ne!(second.refresh_token, first.refresh_token);
    assert_eq!(second.user, first.user);
    let device = fixture.authenticate(&second.access_token).await.unwrap().acting.device;
    let third = fixture.refresh(&second.refresh_token).await.unwrap();
    assert_eq!(fixture.authenticate(&third.access_token).await.unwrap().acting.device, device);
}

#[tokio::test]
async fn a_client_that_lost_the_answer_gets_the_same_one_again() {
    let fixture = fixture().await;
    let first = fixture.guest("Ada").await;
    let second = fixture.refresh(&first.refresh_token).await.unwrap();
    fixture.pass(60);
    let again = fixture.refresh(&first.refresh_token).await.unwrap();
    assert_eq!(again.refresh_token, second.refresh_token);
    assert!(fixture.refresh(&second.refresh_token).await.is_ok());
}

#[tokio::test]
async fn an_old_token_that_is_used_again_signs_the_device_out() {
    let fixture = fixture().await;
    let first = fixture.guest("Ada").await;
    let second = fixture.refresh(&first.refresh_token).await.unwrap();
    assert_eq!(fixture.code(&second.access_token).await, "ok");
    fixture.pass(61);
    assert_eq!(fixture.refresh(&first.refresh_token).await.unwrap_err(), "unauthenticated");
    assert_eq!(fixture.refresh(&second.refresh_token).await.unwrap_err(), "unauthenticated", "the family has ended");
    assert_eq!(fixture.code(&second.access_token).await, "unauthenticated", "at once");
    assert_eq!(*fixture.signed_out.lock().unwrap(), [first.user.unwrap().id]);
}

#[tokio::test]
async fn a_token_two_generations_old_is_reuse_even_at_once() {
    let fixture = fixture().await;
    let first = fixture.guest("Ada").await;
    let second = fixture.refresh(&first.refresh_token).await.unwrap();
    let third = fixture.refresh(&second.refresh_token).await.unwrap();
    assert_eq!(fixture.refresh(&first.refresh_token).await.unwrap_err(), "unauthenticated");
    assert_eq!(fixture.refresh(&third.refresh_token).await.unwrap_err(), "unauthenticated");
}

#[tokio::test]
async fn many_uses_at_once_give_one_next_token() {
    let fixture = fixture().await;
    let first = fixture.guest("Ada").await;
    let neighbour = fixture.neighbour().await;
    let (here, there) = tokio::join!(fixture.refresh(&first.refresh_token), neighbour.refresh(&first.refresh_token));
    assert_eq!(here.unwrap().refresh_token, there.unwrap().refresh_token);
}

#[tokio::test]
async fn a_token_that_nobody_made_says_nothing_and_signs_nobody_out() {
    let fixture = fixture().await;
    let grant = fixture.guest("Ada").await;
    let mut forged = grant.refresh_token.clone().into_bytes();
    forged[40] = if forged[40] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    let long = "A".repeat(1 << 20);
    for token in ["", "x", forged.as_str(), grant.access_token.as_str(), long.as_str()] {
        assert_eq!(fixture.refresh(token).await.unwrap_err(), "unauthenticated");
    }
    assert_eq!(fixture.code(&grant.access_token).await, "ok");
    assert!(fixture.signed_out.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_device_that_is_not_used_for_long_is_signed_out() {
    let fixture = fixture().await;
    let first = fixture.guest("Ada").await;
    fixture.pass(29 * 86_400);
    let second = fixture.refresh(&first.refresh_token).await.unwrap();
    fixture.pass(29 * 86_400);
    let third = fixture.refresh(&second.refresh_token).await.unwrap();
    fixture.pass(30 * 86_400);
    assert_eq!(fixture.refresh(&third.refresh_token).await.unwrap_err(), "unauthenticated");
}

#[tokio::test]
async fn signing_out_ends_the_tokens_of_that_device_and_of_no_other() {
    let fixture = fixture().await;
    let (ada, bea) = (fixture.guest("Ada").await, fixture.guest("Bea").await);
    let acting = fixture.authenticate(&ada.access_token).await.unwrap().acting;
    fixture.service.sign_out(&acting).await.unwrap();
    assert_eq!(fixture.code(&ada.access_token).await, "unauthenticated");
    assert_eq!(fixture.refresh(&ada.refresh_token).await.unwrap_err(), "unauthenticated");
    assert_eq!(fixture.code(&bea.access_token).await, "ok");
    assert_eq!(*fixture.signed_out.lock().unwrap(), [acting.user.get()]);
}

#[tokio::test]
async fn keys_are_replaced_by_age_and_old_tokens_stay_good_until_they_end() {
    let fixture = fixture().await;
    let keys = |fixture: &Fixture| fixture.service.jwks()["keys"].as_array().unwrap().len();
    let neighbour = fixture.neighbour().await;
    fixture.service.rotate_keys().await.unwrap();
    assert_eq!(keys(&fixture), 1, "the key is young");
    fixture.pass(29 * 86_400 + 1);
    let before = fixture.guest("Ada").await;
    fixture.service.rotate_keys().await.unwrap();
    assert_eq!(keys(&fixture), 2, "published before it signs");
    fixture.pass(86_399 - 60);
    let last = fixture.guest("Bea").await;
    fixture.pass(120);
    let first = fixture.guest("Cid").await;
    let kid = |grant: &wire::TokenGrant| jsonwebtoken::decode_header(&grant.access_token).unwrap().kid.unwrap();
    assert_eq!(kid(&before), kid(&last), "the old key signs until its end");
    assert_ne!(kid(&last), kid(&first));
    assert_eq!(fixture.code(&last.access_token).await, "ok", "signed before the old key ended");
    assert_eq!(fixture.code(&first.access_token).await, "ok");
    // The pause between looks into the store is in real time: that of this neighbour has hardly begun.
    assert_eq!(neighbour.code(&first.access_token).await, "unauthenticated");
    assert_eq!(fixture.neighbour().await.code(&first.access_token).await, "ok", "all nodes share the keys");
    fixture.pass(15 * 60 + 10);
    assert_eq!(fixture.code(&last.access_token).await, "token_expired", "also when its key has ended");
    assert_eq!(keys(&fixture), 1);
    assert!(fixture.refresh(&last.refresh_token).await.is_ok(), "refresh tokens outlive the key");
}

/// A store that counts how often it is asked for signing keys.
struct Counting {
    store: Arc<dyn Credentials>,
    asked: AtomicU64,
}

#[async_trait]
impl Credentials for Counting {
    async fn create_family(&self, device: DeviceId, family: RefreshFamily) -> Result<(), Unavailable> {
        self.store.create_family(device, family).await
    }

    async fn family(&self, device: DeviceId) -> Result<Option<RefreshFamily>, Unavailable> {
        self.store.family(device).await
    }

    async fn update_family(
        &self,
        device: DeviceId,
        old: &RefreshFamily,
        new: RefreshFamily,
    ) -> Result<FamilyUpdate, Unavailable> {
        self.store.update_family(device, old, new).await
    }

    async fn signing_keys(&self) -> Result<Vec<SigningKey>, Unavailable> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.store.signing_keys().await
    }

    async fn add_signing_key(&self, newest: Option<&str>, key: SigningKey) -> Result<Vec<SigningKey>, Unavailable> {
        self.store.add_signing_key(newest, key).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_invented_key_names_asks_the_store_once_in_five_seconds() {
    let first = fixture().await;
    let asked = Arc::new(Counting { store: first.parts.credentials.clone(), asked: AtomicU64::new(0) });
    let parts = Parts { credentials: asked.clone(), ..first.parts.clone() };
    let fixture = open(first.service.config.clone(), first.clock.clone(), parts).await;
    let good = fixture.guest("Ada").await.access_token;
    let (_, rest) = good.split_once('.').unwrap();
    let at_start = asked.asked.load(Ordering::SeqCst);
    for (second, expected) in [(0, 0), (6, 1), (6, 2)] {
        tokio::time::advance(Duration::from_secs(second)).await;
        for number in 0..200 {
            let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"EdDSA","kid":"invented-{number}"}}"#));
            assert_eq!(fixture.code(&format!("{header}.{rest}")).await, "unauthenticated");
        }
        assert_eq!(asked.asked.load(Ordering::SeqCst) - at_start, expected, "after {second} s");
    }
    assert_eq!(fixture.code(&good).await, "ok", "meanwhile others are let in");
}

#[tokio::test]
async fn an_administrator_is_one_at_once() {
    let fixture = fixture().await;
    let grant = fixture.guest("Ada").await;
    assert!(!fixture.authenticate(&grant.access_token).await.unwrap().acting.admin);
    assert!(fixture.service.grant_admin("@ada").await.unwrap());
    assert!(fixture.authenticate(&grant.access_token).await.unwrap().acting.admin);
    assert!(!fixture.service.grant_admin("nobody").await.unwrap());
}

#[tokio::test]
async fn load_users_are_made_once() {
    let fixture = fixture().await;
    let hour = Duration::from_secs(3600);
    let (user, token) = fixture.service.token_for("load-000001", hour).await.unwrap();
    assert_eq!(fixture.service.token_for("load-000001", hour).await.unwrap().0, user);
    let identity = fixture.authenticate(&token).await.unwrap();
    assert_eq!((identity.acting.user, identity.acting.device), (user, None));
    assert_eq!(fixture.service.sign_out(&identity.acting).await.unwrap_err().code, "forbidden");
}
