//! What administrators may know of the nodes.

use std::time::Duration;

use bobchat_proto::error::ErrorCode;
use bobchat_proto::wire;

use super::Acting;
use crate::core::Core;

/// How long the nodes have to say what they do: a person waits for the list.
pub const NODES_DEADLINE: Duration = Duration::from_secs(2);

/// Lists every node that runs now; one that does not answer in time has no status.
///
/// # Errors
/// `forbidden` for who is no administrator.
pub async fn nodes(core: &Core, acting: Acting) -> Result<wire::NodeListOk, wire::Error> {
    match acting.admin {
        true => Ok(core.all_nodes(NODES_DEADLINE).await),
        false => Err(ErrorCode::Forbidden.error("only administrators may see the nodes")),
    }
}
