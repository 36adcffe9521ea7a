use bobchat_proto::error::ErrorCode;
use bobchat_proto::ids::UserId;
use bobchat_proto::wire::{self, Role, RoomKind, event::Body};

use super::RoomState;
use crate::operations::Acting;
use crate::plant::{self, Bug};

/// What somebody wants to do in a room. Valid in itself: lengths and characters were checked.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Make the room.
    Create(wire::RoomSettings),
    /// Say something.
    Send(wire::Message),
    /// Become a member.
    Join,
    /// Make somebody a member.
    Invite(UserId),
    /// Stop being a member.
    Leave,
    /// Change settings.
    Update(wire::SettingsChanged),
}

/// What comes of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// An event says it.
    Append(Body),
    /// It is so already.
    Nothing,
}

/// Whether `acting` may do what they want in a room in this state, and which event that makes.
///
/// What somebody may not see answers exactly as what does not exist.
///
/// # Errors
/// `not_found`, `not_a_member` or `forbidden`.
pub fn decide(state: &RoomState, acting: &Acting, command: &Command) -> Result<Decision, wire::Error> {
    if let Command::Create(settings) = command {
        return Ok(create(state, settings));
    }
    let role = require_seen(state, acting)?;
    match command {
        Command::Create(_) => Ok(Decision::Nothing),
        Command::Send(message) => {
            if !plant::is(Bug::RemovedMemberAccepted) {
                require_member(role)?;
            }
            Ok(Decision::Append(Body::Message(message.clone())))
        }
        Command::Join if role.is_some() => Ok(Decision::Nothing),
        Command::Join => Ok(joined(acting.user)),
        Command::Invite(user) => {
            require_member(role)?;
            Ok(if state.role(*user).is_some() { Decision::Nothing } else { joined(*user) })
        }
        Command::Leave if role.is_none() => Ok(Decision::Nothing),
        Command::Leave => Ok(Decision::Append(Body::Left(wire::MemberLeft { user: acting.user.get() }))),
        Command::Update(change) => {
            require_settings_right(role, acting)?;
            Ok(update(state, change))
        }
    }
}

/// The role of somebody who may know that the room exists: members of it, and everybody where it is
/// public.
///
/// # Errors
/// `not_found` for everybody else.
pub(super) fn require_seen(state: &RoomState, acting: &Acting) -> Result<Option<Role>, wire::Error> {
    let role = state.role(acting.user);
    let listed = !state.is_empty() && state.settings.kind == RoomKind::Public as i32;
    if role.is_some() || listed { Ok(role) } else { Err(not_found()) }
}

/// # Errors
/// `not_a_member`.
pub(super) fn require_member(role: Option<Role>) -> Result<Role, wire::Error> {
    role.ok_or_else(|| ErrorCode::NotAMember.error("you are not a member of this room"))
}

/// The answer for rooms that do not exist and for those that the asker may not see.
pub(super) fn not_found() -> wire::Error {
    ErrorCode::NotFound.error("there is no such room").with_field("room")
}

fn require_settings_right(role: Option<Role>, acting: &Acting) -> Result<(), wire::Error> {
    if acting.admin || role == Some(Role::Owner) {
        return Ok(());
    }
    require_member(role)?;
    Err(ErrorCode::Forbidden.error("only the owner of a room changes its settings"))
}

fn create(state: &RoomState, settings: &wire::RoomSettings) -> Decision {
    if !state.is_empty() {
        return Decision::Nothing;
    }
    Decision::Append(Body::Created(wire::RoomCreated { settings: Some(settings.clone()) }))
}

fn joined(user: UserId) -> Decision {
    Decision::Append(Body::Joined(wire::MemberJoined { user: user.get() }))
}

fn update(state: &RoomState, change: &wire::SettingsChanged) -> Decision {
    let settings = &state.settings;
    let change = wire::SettingsChanged {
        name: change.name.clone().filter(|name| *name != settings.name),
        topic: change.topic.clone().filter(|topic| *topic != settings.topic),
        history: change.history.filter(|history| *history != settings.history),
    };
    if change == wire::SettingsChanged::default() {
        Decision::Nothing
    } else {
        Decision::Append(Body::Settings(change))
    }
}
