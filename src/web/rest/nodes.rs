//! The nodes of the deployment, for administrators.

use actix_web::http::StatusCode;
use bobchat_actors::operations;
use bobchat_proto::wire::NodeListOk;

use super::answer::json;
use super::extract::{Caller, Parameters};
use crate::web::failure::Answer;

/// Lists the nodes
///
/// For administrators. Each node is asked what it does now; one that does not answer within 2 seconds has no status.
#[utoipa::path(
    get, path = "/api/v1/admin/nodes", tag = "Administration",
    responses((status = 200, description = "Every node that runs now", body = NodeListOk))
)]
pub(super) async fn list(caller: Caller, parameters: Parameters) -> Answer {
    parameters.only(&[])?;
    json(StatusCode::OK, &operations::nodes(&caller.edge.worker.core, caller.acting).await?)
}
