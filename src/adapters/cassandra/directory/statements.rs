//! Every statement of the directory, prepared once.

use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;

use crate::adapters::cassandra::error::Failure;
use crate::adapters::cassandra::options::Keyspace;
use crate::adapters::cassandra::statements::{prepare, prepare_serial};

/// Rows of one answer where each is a few bytes.
const MANY_ROWS: i32 = 5_000;

/// All that the directory asks. Each can be repeated, as all of the store's can.
pub(in crate::adapters::cassandra) struct DirectoryStatements {
    pub(super) put_change: PreparedStatement,
    pub(super) changes: PreparedStatement,

    pub(super) room: PreparedStatement,
    pub(super) note_changed: PreparedStatement,
    pub(super) put_state: PreparedStatement,

    pub(super) put_membership: PreparedStatement,
    pub(super) membership: PreparedStatement,
    pub(super) memberships: PreparedStatement,

    pub(super) note_changed_of: PreparedStatement,
    pub(super) put_room_of: PreparedStatement,
    pub(super) rooms_of: PreparedStatement,

    pub(super) put_beginning: PreparedStatement,
    pub(super) drop_beginning: PreparedStatement,
    pub(super) beginnings: PreparedStatement,

    pub(super) user: PreparedStatement,
    pub(super) user_serial: PreparedStatement,
    pub(super) make_user: PreparedStatement,
    pub(super) bar_user: PreparedStatement,
    pub(super) change_user: PreparedStatement,

    pub(super) name: PreparedStatement,
    pub(super) name_serial: PreparedStatement,
    pub(super) claim_name: PreparedStatement,
    pub(super) take_name: PreparedStatement,
    pub(super) release_name: PreparedStatement,

    pub(super) claim_room: PreparedStatement,
    pub(super) claimed_room: PreparedStatement,
}

const USER: &str = "SELECT made, handle, issuer, subject, record FROM users WHERE user = ?";
const NAME: &str = "SELECT user, claimed_at FROM names WHERE issuer = ? AND name = ?";

impl DirectoryStatements {
    #[rustfmt::skip]
    pub(in crate::adapters::cassandra) async fn prepare(session: &Session, keyspace: &Keyspace) -> Result<Self, Failure> {
        let prepare = |cql| prepare(session, keyspace, cql, None);
        let serial = |cql| prepare_serial(session, keyspace, cql);
        Ok(Self {
            put_change: prepare(
                "INSERT INTO changes (room, bucket, seq, epoch, event) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?",
            ).await?,
            changes: prepare("SELECT event FROM changes WHERE room = ? AND bucket = ? AND seq >= ?").await?,

            room: prepare(
                "SELECT epoch, seq, at, ordinal, state_seq, settings, members, people, folded, changed \
                 FROM room_head WHERE room = ?",
            ).await?,
            note_changed: prepare("UPDATE room_head USING TIMESTAMP ? SET changed = ? WHERE room = ?").await?,
            put_state: prepare(
                "UPDATE room_head USING TIMESTAMP ? SET settings = ?, members = ?, people = ?, folded = ? \
                 WHERE room = ?",
            ).await?,

            put_membership: prepare(
                "INSERT INTO memberships (room, part, user, membership) VALUES (?, ?, ?, ?) USING TIMESTAMP ?",
            ).await?,
            membership: prepare("SELECT membership FROM memberships WHERE room = ? AND part = ? AND user = ?").await?,
            memberships: prepare(
                "SELECT user, membership FROM memberships WHERE room = ? AND part = ? AND user > ? LIMIT ?",
            ).await?,

            note_changed_of: prepare(
                "UPDATE rooms_of USING TIMESTAMP ? SET changed = ? WHERE user = ? AND room = ?",
            ).await?,
            put_room_of: prepare(
                "UPDATE rooms_of USING TIMESTAMP ? SET membership = ? WHERE user = ? AND room = ?",
            ).await?,
            rooms_of: prepare(
                "SELECT room, membership, changed FROM rooms_of WHERE user = ? AND room > ?",
            ).await?,

            put_beginning: prepare(
                "INSERT INTO beginnings (beginning, part, room) VALUES (?, ?, ?) USING TIMESTAMP ?",
            ).await?,
            drop_beginning: prepare(
                "DELETE FROM beginnings USING TIMESTAMP ? WHERE beginning = ? AND part = ? AND room = ?",
            ).await?,
            beginnings: prepare(
                "SELECT room FROM beginnings WHERE beginning = ? AND part = ? AND room > ? LIMIT ?",
            ).await?,

            user: prepare(USER).await?,
            user_serial: serial(USER).await?,
            make_user: prepare(
                "INSERT INTO users (user, made, handle, issuer, subject, record) VALUES (?, true, ?, ?, ?, ?) \
                 IF NOT EXISTS",
            ).await?,
            bar_user: prepare("INSERT INTO users (user, made) VALUES (?, false) IF NOT EXISTS").await?,
            change_user: prepare("UPDATE users SET record = ? WHERE user = ? IF made = true").await?,

            name: prepare(NAME).await?,
            name_serial: serial(NAME).await?,
            claim_name: prepare(
                "INSERT INTO names (issuer, name, user, claimed_at) VALUES (?, ?, ?, ?) IF NOT EXISTS",
            ).await?,
            take_name: prepare(
                "UPDATE names SET user = ?, claimed_at = ? WHERE issuer = ? AND name = ? IF user = ?",
            ).await?,
            release_name: prepare("DELETE FROM names WHERE issuer = ? AND name = ? IF user = ?").await?,

            claim_room: prepare("INSERT INTO claims (owner, key, room) VALUES (?, ?, ?) IF NOT EXISTS").await?,
            claimed_room: serial("SELECT room FROM claims WHERE owner = ? AND key = ?").await?,
        })
    }
}

/// For a statement that walks a long partition of short rows.
pub(super) fn many(statement: &PreparedStatement) -> PreparedStatement {
    let mut statement = statement.clone();
    statement.set_page_size(MANY_ROWS);
    statement
}
