//! Rooms that users are about to enter: what the directory cannot count yet. Without it, whoever asks for many rooms
//! at once would be judged by a count that none of them is in, and pass the limit by as many as are answered together.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bobchat_proto::error::ErrorCode;
use bobchat_proto::ids::UserId;
use bobchat_proto::wire;

use super::ask::unavailable;
use crate::core::Core;

/// Who is entering how many rooms through this node. As large as the requests that are being answered, which are
/// bounded.
#[derive(Debug, Default)]
pub(crate) struct Entering(Mutex<HashMap<UserId, u64>>);

impl Entering {
    fn add(&self, user: UserId) -> u64 {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = users.entry(user).or_default();
        *count = count.saturating_add(1);
        *count
    }

    fn remove(&self, user: UserId) {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = users.get_mut(&user) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                users.remove(&user);
            }
        }
    }
}

/// One more room for a user. Given back when it is dropped: by then the directory counts the room, or it was not
/// entered.
pub(super) struct Entrance<'a> {
    entering: &'a Entering,
    user: UserId,
}

impl<'a> Entrance<'a> {
    /// Sees that the user may be a member of one more room, those that they are about to enter here included. Between
    /// the two counts a room may be in both: near the limit one too few is let in, never one too many. What other
    /// nodes do in the same moment is not seen.
    ///
    /// # Errors
    /// `room_limit`, and `unavailable` where nobody can count.
    pub(super) async fn reserve(core: &'a Core, user: UserId) -> Result<Self, wire::Error> {
        let pending = core.entering.add(user);
        let entrance = Self { entering: &core.entering, user };
        let count = core.directory.room_count_of(user).await.map_err(|error| unavailable(&error))?;
        let max = core.options.rooms_per_user();
        if count.saturating_add(pending) <= max {
            return Ok(entrance);
        }
        Err(ErrorCode::RoomLimit.error(format!("at most {max} rooms a user")))
    }
}

impl Drop for Entrance<'_> {
    fn drop(&mut self) {
        self.entering.remove(self.user);
    }
}
