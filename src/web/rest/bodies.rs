//! What clients send. The names are those of the frames; what the path or a header says already has no
//! place here, and unknown fields are refused.

use bobchat_proto::wire;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A new message.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NewMessage {
    /// The text: 1 byte to 16 KiB of UTF-8.
    pub(super) text: String,
}

/// A new room.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NewRoom {
    /// Its name, 1 to 80 characters.
    pub(super) name: String,
    /// What it is for; may be empty.
    pub(super) topic: Option<String>,
    /// Who may find and join it; public when absent.
    pub(super) kind: Option<Kind>,
    /// How much of the past those who join may read; everything when absent.
    pub(super) history: Option<Visibility>,
}

/// A change of settings; what is absent stays as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RoomChange {
    /// The new name.
    pub(super) name: Option<String>,
    /// The new topic.
    pub(super) topic: Option<String>,
    /// The new rule about the past.
    pub(super) history: Option<Visibility>,
}

/// Somebody who shall become a member.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Invitation {
    /// Who.
    pub(super) user: String,
}

/// Who may find and join a room.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Found and joined by anybody who is signed in.
    Public,
    /// Seen by its members alone; a member invites.
    Private,
}

/// How much of the past somebody who joins may read.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Visibility {
    /// Everything since the room was created.
    Everything,
    /// Only what happened since they joined.
    FromJoin,
}

impl From<Kind> for i32 {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Public => wire::RoomKind::Public as Self,
            Kind::Private => wire::RoomKind::Private as Self,
        }
    }
}

impl From<Visibility> for i32 {
    fn from(visibility: Visibility) -> Self {
        match visibility {
            Visibility::Everything => wire::HistoryVisibility::Everything as Self,
            Visibility::FromJoin => wire::HistoryVisibility::FromJoin as Self,
        }
    }
}
