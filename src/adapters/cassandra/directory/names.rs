//! Names that one user has: handles, and subjects at other sites.
//!
//! A name is claimed before its user is made, by compare and set, and counts once the user is there and has it. A
//! node that dies in between leaves a claim of nobody. Whoever meets such a claim waits a moment; when it is old,
//! they first make sure that the user can never be made under that identifier any more (a row that bars it, by compare
//! and set too), and then take the name. So it does not matter whose clock is right: of the node that was slow and
//! the one that was impatient, one gets an answer that it lost.

use std::time::Duration;

use bobchat_proto::ids::UserId;

use crate::adapters::cassandra::CassandraStore;
use crate::adapters::cassandra::error::Failure;
use crate::adapters::cassandra::room_log::number;

/// After this time, in microseconds, whoever claimed a name and made no user is taken for dead.
const CLAIM_LIFETIME: i64 = 30_000_000;
/// How often a claim that is being used is looked at again.
const LOOKS_MAX: u32 = 20;
/// How long the first of them waits; each waits a little longer than the one before.
const LOOK_AFTER: Duration = Duration::from_millis(10);

/// A name that one user has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    /// Empty for a handle.
    pub(super) issuer: String,
    pub(super) name: String,
}

impl Name {
    pub(super) fn handle(handle: &str) -> Self {
        Self { issuer: String::new(), name: handle.to_owned() }
    }

    pub(super) fn subject(issuer: &str, subject: &str) -> Self {
        Self { issuer: issuer.to_owned(), name: subject.to_owned() }
    }
}

/// Who has claimed a name.
struct Claim {
    user: UserId,
    claimed_at: i64,
}

/// What became of whoever has claimed a name.
enum Holder {
    /// They have it.
    Made,
    /// They may be on their way.
    Coming,
    /// They will never have it.
    Gone,
}

impl CassandraStore {
    pub(super) async fn user_by_name(&self, name: &Name) -> Result<Option<UserId>, Failure> {
        let Some(claim) = self.read_claim(name, false).await? else { return Ok(None) };
        let user = self.read_user(claim.user, false).await?;
        Ok(user.filter(|user| user.has(name)).map(|_| claim.user))
    }

    /// Claims a name for a user who is about to be made; `false` when somebody has it.
    pub(super) async fn claim_name(&self, name: &Name, user: UserId) -> Result<bool, Failure> {
        for look in 1..=LOOKS_MAX {
            let now = self.clock.now_micros();
            let values = (&name.issuer, &name.name, number(user.get()), now);
            if self.compare_and_set(&self.statements.directory.claim_name, values).await? {
                return Ok(true);
            }
            let Some(claim) = self.read_claim(name, true).await? else { continue };
            if claim.user == user {
                return Ok(true);
            }
            match self.holder(name, &claim, now).await? {
                Holder::Made => return Ok(false),
                Holder::Coming => tokio::time::sleep(LOOK_AFTER * look).await,
                Holder::Gone if self.take_name(name, claim.user, user, now).await? => return Ok(true),
                Holder::Gone => {}
            }
        }
        Err(Failure(format!("somebody else is about to be made under the name {:?}", name.name)))
    }

    /// What became of a claim's user; one that is old can never become one after this.
    async fn holder(&self, name: &Name, claim: &Claim, now: i64) -> Result<Holder, Failure> {
        let is_old = now.saturating_sub(claim.claimed_at) > CLAIM_LIFETIME;
        match self.read_user(claim.user, true).await? {
            Some(user) if user.has(name) => Ok(Holder::Made),
            Some(_) => Ok(Holder::Gone),
            None if is_old && self.bar_user(claim.user).await? => Ok(Holder::Gone),
            None => Ok(Holder::Coming),
        }
    }

    /// Makes sure that nobody is made under an identifier; `false` when somebody just was.
    async fn bar_user(&self, user: UserId) -> Result<bool, Failure> {
        self.compare_and_set(&self.statements.directory.bar_user, (number(user.get()),)).await
    }

    async fn take_name(&self, name: &Name, from: UserId, user: UserId, now: i64) -> Result<bool, Failure> {
        let (from, user) = (number(from.get()), number(user.get()));
        let values = (user, now, &name.issuer, &name.name, from);
        self.compare_and_set(&self.statements.directory.take_name, values).await
    }

    /// Gives back a name that was claimed for a user who was not made.
    pub(super) async fn release_name(&self, name: &Name, user: UserId) -> Result<(), Failure> {
        let values = (&name.issuer, &name.name, number(user.get()));
        self.compare_and_set(&self.statements.directory.release_name, values).await?;
        Ok(())
    }

    async fn read_claim(&self, name: &Name, serial: bool) -> Result<Option<Claim>, Failure> {
        let statements = &self.statements.directory;
        let statement = if serial { &statements.name_serial } else { &statements.name };
        let rows = self.execute(statement, (&name.issuer, &name.name)).await?.into_rows_result()?;
        let Some((Some(user), claimed_at)) = rows.maybe_first_row::<(Option<i64>, Option<i64>)>()? else {
            return Ok(None);
        };
        let user = UserId::new(user.cast_unsigned()).map_err(|error| Failure(error.to_string()))?;
        Ok(Some(Claim { user, claimed_at: claimed_at.unwrap_or_default() }))
    }
}
