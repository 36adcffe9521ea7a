//! The operator's listener: metrics, health and administration. It stands apart from the public one, on an
//! address that the public does not reach.

mod config;
mod readiness;
mod secret_file;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use bobchat_actors::Core;
use bobchat_actors::operations::NODES_DEADLINE;
use bobchat_actors::plant;
use bobchat_actors::ports::Unavailable;
use bobchat_proto::error::ErrorCode;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::failure::{Answer, Failure};
use crate::operator::{LoadToken, Operator};
use crate::secret::Secret;
use crate::settings::Heeding;
use crate::telemetry::metrics;

pub use config::{ConfigChange, ConfigRollback};
pub use readiness::{Readiness, Service};
pub use secret_file::{create as create_secret, read as read_secret};

/// Tokens of one request: more users than a test machine has ports.
const TOKENS_MAX: u32 = 100_000;

/// What the routes of the listener need; shared by its threads.
#[derive(Clone)]
pub struct Admin {
    /// What is counted of the process.
    pub process: Arc<Registry>,
    /// Whether clients may come.
    pub readiness: Arc<Readiness>,
    /// The node, once it is there.
    pub node: Arc<OnceLock<Administered>>,
}

/// A node that is there to be measured and administered.
pub struct Administered {
    /// What it counts.
    pub metrics: Registry,
    /// Does what is asked.
    pub operator: Operator,
    /// Knows the other nodes.
    pub core: Arc<Core>,
    /// Goes by what operators change while it runs.
    pub settings: Arc<Heeding>,
    /// Who knows it may ask.
    pub secret: Secret,
}

/// `POST /admin/backup`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// Where to, as the server sees it.
    pub path: PathBuf,
}

/// What came of a backup.
#[derive(Debug, Serialize, Deserialize)]
pub struct BackupDone {
    /// How long the copy is.
    pub bytes: u64,
}

/// `POST /admin/grant`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantRequest {
    /// Who, with or without the @.
    pub handle: String,
}

/// `POST /admin/token`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// For how many users.
    pub count: u32,
    /// How long they are good.
    pub seconds: u32,
}

/// The tokens.
#[derive(Debug, Serialize, Deserialize)]
pub struct TokensDone {
    /// One a user.
    pub tokens: Vec<LoadToken>,
}

/// Adds the listener's routes to an application of its own.
pub fn configure(admin: Admin) -> impl FnOnce(&mut web::ServiceConfig) {
    move |app| {
        app.app_data(web::Data::new(admin))
            .app_data(
                web::JsonConfig::default()
                    .error_handler(|error, _| Failure::new(ErrorCode::InvalidRequest, error.to_string()).into()),
            )
            .route("/metrics", web::get().to(show_metrics))
            .route("/healthz", web::get().to(show_health))
            .route("/readyz", web::get().to(show_readiness))
            .route("/admin/backup", web::post().to(backup))
            .route("/admin/grant", web::post().to(grant))
            .route("/admin/token", web::post().to(token))
            .route("/admin/nodes", web::get().to(nodes))
            .configure(config::configure)
            .default_service(web::to(|| async { Err::<String, _>(Failure::no_such_path()) }));
    }
}

async fn show_metrics(admin: web::Data<Admin>) -> HttpResponse {
    let registries = [Some(&*admin.process), admin.node.get().map(|node| &node.metrics)];
    let text = metrics::render(registries.into_iter().flatten());
    HttpResponse::Ok().insert_header((CONTENT_TYPE, metrics::CONTENT_TYPE)).body(text)
}

/// A build for tests says that it is one: nobody shall run it by mistake.
async fn show_health() -> String {
    match plant::described() {
        None => "alive\n".to_owned(),
        Some(bug) => format!("alive, built with planted-bugs for tests, planted: {bug}\n"),
    }
}

async fn show_readiness(admin: web::Data<Admin>) -> HttpResponse {
    match admin.readiness.obstacle() {
        None => HttpResponse::Ok().body("ready\n"),
        Some(obstacle) => HttpResponse::ServiceUnavailable().body(format!("not ready: {obstacle}\n")),
    }
}

async fn backup(request: HttpRequest, admin: web::Data<Admin>, body: web::Json<BackupRequest>) -> Answer {
    let operator = admit(&request, &admin)?;
    let (copy, path) = (operator.backup.clone(), body.into_inner().path);
    let copied = web::block(move || copy(&path)).await;
    let copied = copied.map_err(|_| Failure::new(ErrorCode::Busy, "the server has too much to do"))?;
    let bytes = copied.map_err(|error| Failure::in_field("path", error))?;
    Ok(HttpResponse::Ok().json(BackupDone { bytes }))
}

async fn grant(request: HttpRequest, admin: web::Data<Admin>, body: web::Json<GrantRequest>) -> Answer {
    let operator = admit(&request, &admin)?;
    match operator.grant(&body.handle).await.map_err(|error| unavailable(&error))? {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(Failure::new(ErrorCode::NotFound, "nobody has that handle")),
    }
}

async fn token(request: HttpRequest, admin: web::Data<Admin>, body: web::Json<TokenRequest>) -> Answer {
    let operator = admit(&request, &admin)?;
    if body.count > TOKENS_MAX {
        return Err(Failure::in_field("count", format!("at most {TOKENS_MAX}")));
    }
    let lifetime = Duration::from_secs(u64::from(body.seconds));
    let tokens = operator.tokens(body.count, lifetime).await.map_err(|error| unavailable(&error))?;
    Ok(HttpResponse::Ok().json(TokensDone { tokens }))
}

async fn nodes(request: HttpRequest, admin: web::Data<Admin>) -> Answer {
    let node = admit_to_node(&request, &admin)?;
    Ok(HttpResponse::Ok().json(node.core.all_nodes(NODES_DEADLINE).await))
}

fn admit<'a>(request: &HttpRequest, admin: &'a Admin) -> Result<&'a Operator, Failure> {
    admit_to_node(request, admin).map(|node| &node.operator)
}

/// Lets in who knows the secret. Compared in constant time: the answer's delay says nothing about it.
fn admit_to_node<'a>(request: &HttpRequest, admin: &'a Admin) -> Result<&'a Administered, Failure> {
    let Some(node) = admin.node.get() else {
        return Err(Failure::new(ErrorCode::Unavailable, "the server is starting; /readyz says what it waits for"));
    };
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    match bool::from(given.as_bytes().ct_eq(node.secret.reveal().as_bytes())) {
        true => Ok(node),
        false => Err(Failure::new(ErrorCode::Unauthenticated, "the secret stands in admin.token in the data folder")),
    }
}

fn unavailable(error: &Unavailable) -> Failure {
    // The operator may know the cause.
    Failure::new(ErrorCode::Unavailable, error.to_string())
}
