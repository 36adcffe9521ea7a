//! Everything a client can ask: one operation each. An operation takes who acts, decides permission itself,
//! and cannot be called without one; WebSocket and REST are thin edges.

use bobchat_proto::ids::{DeviceId, UserId};

/// Who asks. Made by an [`crate::ports::Authenticator`] from a token it verified, and by nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acting {
    /// The user.
    pub user: UserId,
    /// The device that is signed in; none with a token of an external issuer.
    pub device: Option<DeviceId>,
    /// Whether an operator gave them the rights of an administrator.
    pub admin: bool,
}
