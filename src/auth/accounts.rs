//! Users as they come to be: guests by choosing a name, users of other sites when they are first seen.

use std::sync::Arc;

use bobchat_actors::names;
use bobchat_actors::ports::{Clock, Directory, Unavailable};
use bobchat_proto::ids::UserId;
use bobchat_proto::record;

use super::service::Identifiers;

/// Tries with a fresh suffix each; of 33 million suffixes a name would have to be very common.
const TRIES: usize = 8;

/// What a suffix is made of: no letters that look like digits.
const SUFFIX_LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Who somebody is at another site: the issuer of their tokens and their name there.
pub(super) struct Subject<'a> {
    pub(super) issuer: &'a str,
    pub(super) subject: &'a str,
}

pub(super) struct Accounts {
    pub(super) directory: Arc<dyn Directory>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) identifiers: Identifiers,
}

impl Accounts {
    /// Makes a user who is shown by `name`; their handle is made of it, with a suffix when it is taken.
    pub(super) async fn create(&self, name: String) -> Result<(UserId, record::User), Unavailable> {
        let handle = names::handle_from(&name);
        self.make(&handle, name, None).await?.ok_or_else(|| Unavailable::new("no free handle was found"))
    }

    /// Finds the user of another site, or makes them: `name` is what their site calls them, and may be
    /// anything. Also says whether they were made.
    pub(super) async fn of_subject(
        &self,
        subject: &Subject<'_>,
        name: Option<&str>,
    ) -> Result<(UserId, bool), Unavailable> {
        if let Some(user) = self.find_subject(subject).await? {
            return Ok((user, false));
        }
        let name = name.and_then(|name| names::display_name(name).ok()).unwrap_or_else(|| "Somebody".to_owned());
        let handle = names::handle_from(&name);
        match self.make(&handle, name, Some(subject)).await? {
            Some((user, _)) => Ok((user, true)),
            None => {
                let user = self.find_subject(subject).await?;
                Ok((user.ok_or_else(|| Unavailable::new("no free handle was found"))?, false))
            }
        }
    }

    /// Finds the user with exactly this handle, or makes them, for load tests.
    pub(super) async fn of_handle(&self, handle: &str) -> Result<UserId, Unavailable> {
        loop {
            if let Some(user) = self.directory.user_by_handle(handle).await? {
                return Ok(user);
            }
            let id = self.new_id()?;
            if self.directory.create_user(id, self.record(handle.to_owned(), handle.to_owned()), None).await? {
                return Ok(id);
            }
        }
    }

    async fn find_subject(&self, subject: &Subject<'_>) -> Result<Option<UserId>, Unavailable> {
        self.directory.user_by_subject(subject.issuer, subject.subject).await
    }

    /// `None` when the subject is known, or no handle was free in so many tries.
    async fn make(
        &self,
        base: &str,
        name: String,
        subject: Option<&Subject<'_>>,
    ) -> Result<Option<(UserId, record::User)>, Unavailable> {
        let mut handle = base.to_owned();
        for _ in 0..TRIES {
            let (id, user) = (self.new_id()?, self.record(handle, name.clone()));
            let owned = subject.map(|subject| (subject.issuer.to_owned(), subject.subject.to_owned()));
            if self.directory.create_user(id, user.clone(), owned).await? {
                return Ok(Some((id, user)));
            }
            if let Some(subject) = subject
                && self.find_subject(subject).await?.is_some()
            {
                return Ok(None);
            }
            handle = format!("{base}-{}", suffix()?);
        }
        Ok(None)
    }

    fn record(&self, handle: String, name: String) -> record::User {
        record::User { handle, name, admin: false, created_at: self.clock.now_micros() }
    }

    fn new_id(&self) -> Result<UserId, Unavailable> {
        UserId::new((self.identifiers)()?).map_err(Unavailable::new)
    }
}

fn suffix() -> Result<String, Unavailable> {
    let mut bytes = [0_u8; 5];
    getrandom::fill(&mut bytes).map_err(Unavailable::new)?;
    let letters = bytes.iter().filter_map(|byte| SUFFIX_LETTERS.get(usize::from(byte % 32)));
    Ok(letters.map(|letter| char::from(*letter)).collect())
}
