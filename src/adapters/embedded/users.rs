//! Making and changing users, inside the transaction of a commit.

use bobchat_proto::ids::UserId;
use bobchat_proto::record;
use prost::Message as _;
use redb::ReadableTable as _;

use super::tables::{HANDLES, SUBJECTS, USERS, get};
use super::transaction::Transaction;

/// Makes a user; `false`, and nothing made, when a name is taken.
pub(super) fn create(
    transaction: &mut Transaction<'_>,
    id: UserId,
    user: &record::User,
    subject: Option<&(String, String)>,
) -> Result<bool, redb::Error> {
    let mut users = transaction.table(USERS)?;
    let mut handles = transaction.table(HANDLES)?;
    let mut subjects = transaction.table(SUBJECTS)?;
    let subject = subject.map(|(issuer, subject)| (issuer.as_str(), subject.as_str()));
    let subject_taken = subject.map(|subject| Ok::<_, redb::Error>(subjects.get(subject)?.is_some())).transpose()?;
    if subject_taken == Some(true) || users.get(id.get())?.is_some() || handles.get(user.handle.as_str())?.is_some() {
        transaction.unchanged();
        return Ok(false);
    }
    if let Some(subject) = subject {
        subjects.insert(subject, id.get())?;
    }
    handles.insert(user.handle.as_str(), id.get())?;
    users.insert(id.get(), user.encode_to_vec().as_slice())?;
    Ok(true)
}

/// Replaces what is known of a user, but for the handle; `false` when there is no such user.
pub(super) fn update(transaction: &mut Transaction<'_>, id: UserId, user: record::User) -> Result<bool, redb::Error> {
    let mut users = transaction.table(USERS)?;
    let Some(known) = get::<record::User, _>(&users, id.get())? else {
        transaction.unchanged();
        return Ok(false);
    };
    let user = record::User { handle: known.handle, ..user };
    users.insert(id.get(), user.encode_to_vec().as_slice())?;
    Ok(true)
}
