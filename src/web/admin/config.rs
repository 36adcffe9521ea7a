//! Settings, over the operator's listener: what `bobchat config` asks a server that runs.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::{HttpRequest, HttpResponse, web};
use bobchat_proto::error::ErrorCode;
use serde::{Deserialize, Serialize};

use super::{Admin, admit_to_node, unavailable};
use crate::settings::{Author, ChangeError, Wish};
use crate::web::failure::{Answer, Failure};

/// Versions that are told where nobody says how many.
const VERSIONS: usize = 20;

/// `POST /admin/config`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigChange {
    /// Values by key.
    pub set: BTreeMap<String, String>,
    /// Keys that shall have each node's own value again.
    pub unset: BTreeSet<String>,
    /// The version that has to stand; any when it is absent.
    pub if_version: Option<u64>,
    /// Who asks, as they say.
    pub by: String,
    /// What for.
    pub note: String,
}

/// `POST /admin/config/rollback`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigRollback {
    /// The version to bring back, 0 for no settings at all; the one before the newest when it is absent, which it may not
    /// be where the newest is a rollback.
    pub to: Option<u64>,
    /// The version that has to stand; any when it is absent.
    pub if_version: Option<u64>,
    /// Who asks, as they say.
    pub by: String,
    /// What for.
    pub note: String,
}

/// Which versions to list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    below: Option<u64>,
    limit: Option<usize>,
}

pub(super) fn configure(app: &mut web::ServiceConfig) {
    app.route("/admin/config", web::get().to(show))
        .route("/admin/config", web::post().to(change))
        .route("/admin/config/rollback", web::post().to(roll_back))
        .route("/admin/config/history", web::get().to(history))
        .route("/admin/config/status", web::get().to(status));
}

async fn show(request: HttpRequest, admin: web::Data<Admin>) -> Answer {
    let node = admit_to_node(&request, &admin)?;
    let held = node.settings.settings().held().await.map_err(|error| unavailable(&error))?;
    Ok(HttpResponse::Ok().json(held))
}

async fn change(request: HttpRequest, admin: web::Data<Admin>, body: web::Json<ConfigChange>) -> Answer {
    let node = admit_to_node(&request, &admin)?;
    let ConfigChange { set, unset, if_version, by, note } = body.into_inner();
    let made = node.settings.change(Wish::Change { set, unset }, if_version, Author { by, note }).await;
    Ok(HttpResponse::Ok().json(made.map_err(failure)?))
}

async fn roll_back(request: HttpRequest, admin: web::Data<Admin>, body: web::Json<ConfigRollback>) -> Answer {
    let node = admit_to_node(&request, &admin)?;
    let ConfigRollback { to, if_version, by, note } = body.into_inner();
    let made = node.settings.roll_back(to, if_version, Author { by, note }).await;
    Ok(HttpResponse::Ok().json(made.map_err(failure)?))
}

async fn history(request: HttpRequest, admin: web::Data<Admin>) -> Answer {
    let node = admit_to_node(&request, &admin)?;
    let page = web::Query::<Page>::from_query(request.query_string());
    let Page { below, limit } =
        page.map_err(|error| Failure::new(ErrorCode::InvalidRequest, error.to_string()))?.into_inner();
    let versions = node.settings.settings().history(below, limit.unwrap_or(VERSIONS)).await;
    Ok(HttpResponse::Ok().json(versions.map_err(|error| unavailable(&error))?))
}

async fn status(request: HttpRequest, admin: web::Data<Admin>) -> Answer {
    let node = admit_to_node(&request, &admin)?;
    Ok(HttpResponse::Ok().json(node.settings.status().await.map_err(|error| unavailable(&error))?))
}

fn failure(error: ChangeError) -> Failure {
    let text = error.to_string();
    match error {
        ChangeError::Unavailable(error) => unavailable(&error),
        ChangeError::Unknown(_) => Failure::new(ErrorCode::Unknown, text),
        ChangeError::Conflict { .. } => Failure::in_field("if_version", text),
        ChangeError::NoSuchVersion(_) | ChangeError::RolledBack { .. } => Failure::in_field("to", text),
        ChangeError::Faults(_) | ChangeError::NothingChanges(_) => Failure::new(ErrorCode::InvalidRequest, text),
    }
}
