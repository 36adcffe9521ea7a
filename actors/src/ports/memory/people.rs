use std::collections::{BTreeMap, HashMap};

use bobchat_proto::ids::{RoomId, UserId};
use bobchat_proto::record;

/// What the directory keeps that no log says: users, their names, and rooms to be made.
#[derive(Default)]
pub(super) struct People {
    users: BTreeMap<UserId, record::User>,
    handles: HashMap<String, UserId>,
    /// By issuer and subject.
    subjects: HashMap<(String, String), UserId>,
    /// By owner and idempotency key.
    claims: HashMap<(UserId, String), RoomId>,
}

impl People {
    pub(super) fn claim_room(&mut self, owner: UserId, key: &str, proposed: RoomId) -> RoomId {
        *self.claims.entry((owner, key.to_owned())).or_insert(proposed)
    }

    pub(super) fn users(&self, users: &[UserId]) -> Vec<(UserId, record::User)> {
        users.iter().filter_map(|id| Some((*id, self.users.get(id)?.clone()))).collect()
    }

    pub(super) fn by_handle(&self, handle: &str) -> Option<UserId> {
        self.handles.get(handle).copied()
    }

    pub(super) fn by_subject(&self, issuer: &str, subject: &str) -> Option<UserId> {
        self.subjects.get(&(issuer.to_owned(), subject.to_owned())).copied()
    }

    pub(super) fn create(&mut self, id: UserId, user: record::User, subject: Option<(String, String)>) -> bool {
        let subject_taken = subject.as_ref().is_some_and(|subject| self.subjects.contains_key(subject));
        if subject_taken || self.users.contains_key(&id) || self.handles.contains_key(&user.handle) {
            return false;
        }
        self.handles.insert(user.handle.clone(), id);
        if let Some(subject) = subject {
            self.subjects.insert(subject, id);
        }
        self.users.insert(id, user);
        true
    }

    pub(super) fn update(&mut self, id: UserId, user: record::User) -> bool {
        let Some(known) = self.users.get_mut(&id) else { return false };
        *known = record::User { handle: std::mem::take(&mut known.handle), ..user };
        true
    }
}
