//! Users, and rooms that are about to be made.

use bobchat_proto::ids::{RoomId, UserId};
use bobchat_proto::record;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use prost::Message as _;
use scylla::DeserializeRow;

use super::names::Name;
use crate::adapters::cassandra::CassandraStore;
use crate::adapters::cassandra::error::Failure;
use crate::adapters::cassandra::room_log::{id, number};
use crate::adapters::cassandra::store::IN_FLIGHT;

/// A user as they are stored.
#[derive(Debug, PartialEq, DeserializeRow)]
pub(super) struct StoredUser {
    /// Whether they were ever made, or can never be.
    made: Option<bool>,
    handle: Option<String>,
    issuer: Option<String>,
    subject: Option<String>,
    /// Without the handle.
    record: Option<Vec<u8>>,
}

impl StoredUser {
    fn new(user: record::User, subject: Option<(String, String)>) -> Self {
        let (issuer, subject) = subject.unzip();
        let handle = user.handle.clone();
        Self { made: Some(true), handle: Some(handle), issuer, subject, record: Some(encoded(user)) }
    }

    fn is_made(&self) -> bool {
        self.made == Some(true)
    }

    /// Whether it is their name.
    pub(super) fn has(&self, name: &Name) -> bool {
        self.is_made() && self.names().contains(name)
    }

    fn names(&self) -> Vec<Name> {
        let handle = self.handle.as_deref().map(Name::handle);
        let subject = self.issuer.as_deref().zip(self.subject.as_deref());
        handle.into_iter().chain(subject.map(|(issuer, subject)| Name::subject(issuer, subject))).collect()
    }

    fn user(self) -> Result<Option<record::User>, Failure> {
        if !self.is_made() {
            return Ok(None);
        }
        let user = record::User::decode(self.record.unwrap_or_default().as_slice())?;
        Ok(Some(record::User { handle: self.handle.unwrap_or_default(), ..user }))
    }
}

fn encoded(user: record::User) -> Vec<u8> {
    record::User { handle: String::new(), ..user }.encode_to_vec()
}

impl CassandraStore {
    /// Names first, then the user, which makes them count: see `names`.
    pub(super) async fn make_user(
        &self,
        id: UserId,
        user: record::User,
        subject: Option<(String, String)>,
    ) -> Result<bool, Failure> {
        let new = StoredUser::new(user, subject);
        let mut claimed = Vec::new();
        // Handles before subjects, on every node: nobody waits for a name of one who waits for theirs.
        for name in new.names() {
            if !self.claim_name(&name, id).await? {
                self.release_all(&claimed, id, None).await?;
                return Ok(false);
            }
            claimed.push(name);
        }
        let values = (number(id.get()), &new.handle, &new.issuer, &new.subject, &new.record);
        if self.compare_and_set(&self.statements.directory.make_user, values).await? {
            return Ok(true);
        }
        match self.read_user(id, true).await? {
            // The same again, after its answer was lost.
            Some(known) if known == new => Ok(true),
            known => {
                self.release_all(&claimed, id, known.as_ref()).await?;
                Ok(false)
            }
        }
    }

    /// Gives back names that were claimed in vain, but for those that the user of that identifier has.
    async fn release_all(&self, names: &[Name], id: UserId, known: Option<&StoredUser>) -> Result<(), Failure> {
        for name in names.iter().filter(|name| !known.is_some_and(|known| known.has(name))) {
            self.release_name(name, id).await?;
        }
        Ok(())
    }

    /// Replaces the record, not the names.
    pub(super) async fn change_user(&self, id: UserId, user: record::User) -> Result<bool, Failure> {
        let values = (encoded(user), number(id.get()));
        self.compare_and_set(&self.statements.directory.change_user, values).await
    }

    pub(super) async fn read_users(&self, users: &[UserId]) -> Result<Vec<(UserId, record::User)>, Failure> {
        let reads: Vec<_> = users.iter().map(|user| self.read_user(*user, false)).collect();
        let read: Vec<_> = stream::iter(reads).buffered(IN_FLIGHT).try_collect().await?;
        let mut found = Vec::new();
        for (id, stored) in users.iter().zip(read) {
            found.extend(stored.map(StoredUser::user).transpose()?.flatten().map(|user| (*id, user)));
        }
        Ok(found)
    }

    pub(super) async fn read_user(&self, user: UserId, serial: bool) -> Result<Option<StoredUser>, Failure> {
        let statements = &self.statements.directory;
        let statement = if serial { &statements.user_serial } else { &statements.user };
        let rows = self.execute(statement, (number(user.get()),)).await?.into_rows_result()?;
        Ok(rows.maybe_first_row::<StoredUser>()?)
    }

    pub(super) async fn claim_room_id(&self, owner: UserId, key: &str, proposed: RoomId) -> Result<RoomId, Failure> {
        let values = (number(owner.get()), key, id(proposed));
        if self.compare_and_set(&self.statements.directory.claim_room, values).await? {
            return Ok(proposed);
        }
        let values = (number(owner.get()), key);
        let rows = self.execute(&self.statements.directory.claimed_room, values).await?.into_rows_result()?;
        let claimed = rows.maybe_first_row::<(Option<i64>,)>()?.and_then(|(room,)| room);
        let claimed = claimed.ok_or_else(|| Failure(format!("the claim of key {key:?} ended just now")))?;
        RoomId::new(claimed.cast_unsigned()).map_err(|error| Failure(error.to_string()))
    }
}
