use async_trait::async_trait;
use bobchat_proto::ids::{RoomId, UserId};
use bobchat_proto::record;

use super::{Head, Span, Unavailable};

/// A room as the directory lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomRow {
    /// The room.
    pub id: RoomId,
    /// Its settings and the number of its members.
    pub room: record::Room,
    /// The head of its log; over an [`super::EventStore`] an earlier one, which was noted last.
    pub head: Head,
}

/// Everything a room actor needs to decide: the fold of the log up to `row.head`. Over an [`super::EventStore`] the
/// log goes on: the events above have to be folded on top, and a membership that has some of them already ignores
/// them ([`super::projection::fold_membership`]).
#[derive(Debug, Clone, PartialEq)]
pub struct RoomSnapshot {
    /// The room.
    pub row: RoomRow,
    /// The runs of its log, oldest first: what a client's cursor is judged by ([`super::judge_cursor`]).
    pub spans: Vec<Span>,
    /// Everybody who is or was a member, in the order of their identifiers.
    pub memberships: Vec<(UserId, record::Membership)>,
}

/// Knows which rooms and users there are. What it says of rooms and members is derived from their logs
/// ([`super::projection`]): in the transaction that appends, where the log is in the same store; else when an event
/// is stored ([`super::EventStore::store`]), whether or not those before it are.
///
/// Lists are in the order of identifiers; `after` is the last one of the page before; a page that is
/// shorter than `limit` is the last. A room is there from the first event of its log on.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Reads one room.
    ///
    /// # Errors
    /// [`Unavailable`], as in every method here.
    async fn room(&self, room: RoomId) -> Result<Option<RoomRow>, Unavailable>;

    /// Reads one room whole; head and members belong together.
    async fn snapshot(&self, room: RoomId) -> Result<Option<RoomSnapshot>, Unavailable>;

    /// Gives the room that `owner` makes under an idempotency key its identifier, durably: `proposed`, or
    /// the one that the same owner and key got before. Makes nothing else; kept for 24 hours at least.
    async fn claim_room(&self, owner: UserId, key: &str, proposed: RoomId) -> Result<RoomId, Unavailable>;

    /// Lists the rooms that `user` is a member of, each with the user's membership.
    async fn rooms_of(
        &self,
        user: UserId,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<(RoomRow, record::Membership)>, Unavailable>;

    /// Counts the rooms that `user` is a member of.
    async fn room_count_of(&self, user: UserId) -> Result<u64, Unavailable>;

    /// Lists the public rooms whose name has, for each word of `query`, a word that begins with it, in any
    /// case ([`super::projection::search_words`]); an empty query finds all.
    async fn search(&self, query: &str, after: Option<RoomId>, limit: usize) -> Result<Vec<RoomRow>, Unavailable>;

    /// Lists the present members of a room.
    async fn members(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<(UserId, record::Membership)>, Unavailable>;

    /// Reads users; who does not exist is left out, the order is that of `users`.
    async fn users(&self, users: &[UserId]) -> Result<Vec<(UserId, record::User)>, Unavailable>;

    /// Finds a user by their handle.
    async fn user_by_handle(&self, handle: &str) -> Result<Option<UserId>, Unavailable>;

    /// Finds a user of an external issuer by the subject of their tokens.
    async fn user_by_subject(&self, issuer: &str, subject: &str) -> Result<Option<UserId>, Unavailable>;

    /// Makes a user, durably; with `subject` also their external name (issuer, subject). `false`, and
    /// nothing made, when the handle or the subject is taken.
    async fn create_user(
        &self,
        id: UserId,
        user: record::User,
        subject: Option<(String, String)>,
    ) -> Result<bool, Unavailable>;

    /// Replaces what is known of a user, but for the handle, which stays. `false` when there is no such
    /// user.
    async fn update_user(&self, id: UserId, user: record::User) -> Result<bool, Unavailable>;
}
