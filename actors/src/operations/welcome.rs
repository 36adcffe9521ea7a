//! The room in which everybody lands.

use std::rc::Rc;

use bobchat_proto::ids::{RoomId, UserId};
use bobchat_proto::wire::{HistoryVisibility, RoomKind, RoomSettings};
use bobchat_proto::{record, wire};

use super::Acting;
use super::ask::{ask, unavailable};
use crate::room::{Command, Key};
use crate::worker::Worker;

/// The user that writes what the server itself has to say. Below every Snowflake.
pub const SYSTEM_USER: UserId = match UserId::new(1) {
    Ok(id) => id,
    Err(_) => unreachable!(),
};

/// The room in which everybody lands. Below every Snowflake.
pub const WELCOME_ROOM: RoomId = match RoomId::new(1) {
    Ok(id) => id,
    Err(_) => unreachable!(),
};

/// Its first messages: each explains one thing by the thing itself. Under fixed keys, so that a start that
/// was cut short is finished by the next.
const FIRST_MESSAGES: [&str; 4] = [
    "Welcome to Bobchat. This room is for trying things out; everybody who signs in lands here.",
    "Say something: type below and press Enter. Shift+Enter starts a new line. A message shows at once, and \
     is sent when the server has it on disk.",
    "Make a room of your own, or browse the public ones, with the two buttons above the list of rooms. \
     Ctrl+K jumps between them.",
    "Lose your connection whenever you like. What you write meanwhile waits and goes out once, in order; \
     what you missed comes back without a hole.",
];

const SYSTEM: Acting = Acting { user: SYSTEM_USER, device: None, admin: true };

/// Makes the system user and the welcome room with its first messages, where they are missing.
///
/// # Errors
/// What the store or the room said; try again.
pub async fn prepare_welcome(worker: &Rc<Worker>) -> Result<(), wire::Error> {
    let core = &worker.core;
    let user = record::User {
        handle: "bobchat".to_owned(),
        name: "Bobchat".to_owned(),
        admin: true,
        created_at: core.clock.now_micros(),
    };
    core.directory.create_user(SYSTEM_USER, user, None).await.map_err(|error| unavailable(&error))?;
    let head = core.log.open(WELCOME_ROOM).await.map_err(|error| unavailable(&error))?;
    if head.ordinal.0 >= FIRST_MESSAGES.len() as u64 {
        return Ok(());
    }
    let settings = RoomSettings {
        name: "welcome".to_owned(),
        topic: "Say hello, try things out".to_owned(),
        kind: RoomKind::Public as i32,
        history: HistoryVisibility::Everything as i32,
    };
    ask(worker, SYSTEM, WELCOME_ROOM, Command::Create(settings), Some(Key::repeated("created".to_owned()))).await?;
    for (number, text) in FIRST_MESSAGES.iter().enumerate() {
        let message = wire::Message { text: (*text).to_owned() };
        ask(worker, SYSTEM, WELCOME_ROOM, Command::Send(message), Some(Key::repeated(format!("welcome-{number}"))))
            .await?;
    }
    Ok(())
}

/// Lets a new user land in the welcome room.
///
/// # Errors
/// What the room said; the user can join later.
pub async fn welcome(worker: &Rc<Worker>, user: UserId) -> Result<(), wire::Error> {
    let acting = Acting { user, device: None, admin: false };
    ask(worker, acting, WELCOME_ROOM, Command::Join, None).await?;
    Ok(())
}
