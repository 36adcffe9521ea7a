use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use bobchat_actors::operations::perform;
use bobchat_proto::error::ErrorCode;
use bobchat_proto::wire::ok::Result as Outcome;
use bobchat_proto::wire::{self, client_frame::Request};
use serde::Serialize;

use super::extract::Caller;
use crate::web::failure::{Answer, Failure};

/// Has the core do what the caller asks, and answers 200 with what came of it.
pub(super) async fn ask(caller: &Caller, request: Request) -> Answer {
    ask_with(caller, request, StatusCode::OK).await
}

/// As [`ask`], for what makes something: 201.
pub(super) async fn ask_created(caller: &Caller, request: Request) -> Answer {
    ask_with(caller, request, StatusCode::CREATED).await
}

async fn ask_with(caller: &Caller, request: Request, status: StatusCode) -> Answer {
    let outcome = perform(&caller.edge.worker, caller.acting, request).await.map_err(name_header)?;
    let json = match &outcome {
        Outcome::Auth(body) => encode(body),
        Outcome::AuthRenew(body) => encode(body),
        Outcome::Ping(body) => encode(body),
        Outcome::MessageSend(body) => encode(body),
        Outcome::MessageHistory(body) => encode(body),
        Outcome::Subscribe(body) => encode(body),
        Outcome::Unsubscribe(body) => encode(body),
        Outcome::Typing(body) => encode(body),
        Outcome::RoomCreate(body) => encode(body),
        Outcome::RoomGet(body) => encode(body),
        Outcome::RoomList(body) => encode(body),
        Outcome::RoomSearch(body) => encode(body),
        Outcome::RoomUpdate(body) => encode(body),
        Outcome::RoomJoin(body) => encode(body),
        Outcome::RoomInvite(body) => encode(body),
        Outcome::RoomLeave(body) => encode(body),
        Outcome::RoomMembers(body) => encode(body),
        Outcome::RoomPresence(body) => encode(body),
        Outcome::RoomEvents(body) => encode(body),
        Outcome::UserGet(body) => encode(body),
    }?;
    Ok(HttpResponse::build(status).insert_header(ContentType::json()).body(json))
}

/// What frames call `key` comes in a header here.
fn name_header(mut error: wire::Error) -> wire::Error {
    if error.field.as_deref() == Some("key") {
        error.field = Some("Idempotency-Key".to_owned());
    }
    error
}

/// The answer with `body` as JSON.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    Ok(HttpResponse::build(status).insert_header(ContentType::json()).body(encode(body)?))
}

fn encode(body: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(body).map_err(|error| {
        tracing::error!(error = %error, "could not write an answer");
        Failure::new(ErrorCode::Internal, "the answer could not be written")
    })
}
