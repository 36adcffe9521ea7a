//! Signing in and out.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use bobchat_actors::operations::welcome;
use bobchat_proto::ids::UserId;
use bobchat_proto::wire::{self, GuestCreate, TokenGrant, TokenRefresh, User};

use super::Edge;
use super::answer::json;
use super::extract::{Body, Caller, ClientAddress};
use crate::web::failure::Answer;

/// Signs up a guest
///
/// Makes a user who is shown by the name given, and signs in the device that asks. Limited per address.
#[utoipa::path(
    post, path = "/api/v1/guests", tag = "Signing in", security(()),
    request_body = GuestCreate,
    responses((status = 201, description = "The guest, and the tokens of this device", body = TokenGrant))
)]
pub(super) async fn create_guest(edge: Edge, client: ClientAddress, body: Body<GuestCreate>) -> Answer {
    edge.guests.take(client.0)?;
    let grant = edge.auth.create_guest(&body.0).await?;
    land(&edge, &grant).await;
    json(StatusCode::CREATED, &grant)
}

/// Lets a new guest land in the welcome room. That it failed is no reason not to sign in: they can join.
async fn land(edge: &Edge, grant: &wire::TokenGrant) {
    let Some(Ok(user)) = grant.user.as_ref().map(|user| UserId::new(user.id)) else { return };
    if let Err(error) = welcome(&edge.worker, user).await {
        tracing::warn!(user.id = user.get(), error = error.message, "could not welcome a guest");
    }
}

/// Exchanges a refresh token for the next pair of tokens
///
/// A refresh token is used once. Using an older one again signs the device out, but for the one just before
/// within a minute, which gives the same answer again.
#[utoipa::path(
    post, path = "/api/v1/tokens/refresh", tag = "Signing in", security(()),
    request_body = TokenRefresh,
    responses((status = 200, description = "The next pair of tokens", body = TokenGrant))
)]
pub(super) async fn refresh(edge: Edge, body: Body<TokenRefresh>) -> Answer {
    json(StatusCode::OK, &edge.auth.refresh(&body.0).await?)
}

/// Signs out this device
///
/// Its tokens end at once, and its connections close.
#[utoipa::path(
    delete, path = "/api/v1/session", tag = "Signing in",
    responses((status = 204, description = "The device is signed out"))
)]
pub(super) async fn sign_out(caller: Caller) -> Answer {
    caller.edge.auth.sign_out(&caller.acting).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Says who is signed in
#[utoipa::path(
    get, path = "/api/v1/me", tag = "People",
    responses((status = 200, description = "The asker", body = User))
)]
pub(super) async fn me(caller: Caller) -> Answer {
    json(StatusCode::OK, &caller.user)
}

/// Publishes the keys that sign access tokens
///
/// For other services that want to verify them (RFC 7517).
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "Signing in", security(()),
    responses((status = 200, description = "A JWK set", body = serde_json::Value))
)]
pub(super) async fn jwks(edge: Edge) -> Answer {
    let keys = edge.auth.jwks();
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "public, max-age=300")).json(keys))
}
