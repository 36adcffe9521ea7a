//! Every statement, prepared once.

use futures_util::future::BoxFuture;
use scylla::client::session::Session;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;

use super::directory::DirectoryStatements;
use super::error::Failure;
use super::options::Keyspace;

/// Rows of one answer. At most 8 MiB of the largest events.
const PAGE_ROWS: i32 = 500;

/// A statement that is being prepared: on the heap, for what awaits it awaits many.
pub(super) type Preparing<'a> = BoxFuture<'a, Result<PreparedStatement, Failure>>;

/// All that the store asks.
///
/// Each can be repeated, so the driver may ask another node when one is lost. The compare-and-sets too: whoever
/// makes one tells by what stands afterwards whether it was theirs (`room_log`, `credentials`, `worker_leases`, `settings`).
pub(super) struct Statements {
    pub(super) log_row: PreparedStatement,
    /// Settles compare-and-sets whose outcome is open.
    pub(super) log_row_serial: PreparedStatement,
    pub(super) make_log: PreparedStatement,
    pub(super) raise: PreparedStatement,
    pub(super) begin: PreparedStatement,
    /// Of all rooms: for the operator alone.
    pub(super) log_epochs: PreparedStatement,

    pub(super) put_key: PreparedStatement,
    pub(super) put_message: PreparedStatement,
    pub(super) put_event: PreparedStatement,
    pub(super) mark_renumbered: PreparedStatement,
    pub(super) note_bucket: PreparedStatement,
    pub(super) note_head: PreparedStatement,

    pub(super) last_bucket: PreparedStatement,
    pub(super) events: PreparedStatement,
    pub(super) keys: PreparedStatement,
    pub(super) head: PreparedStatement,

    pub(super) messages_down: PreparedStatement,
    pub(super) messages_up: PreparedStatement,
    /// The last message up to an ordinal.
    pub(super) look: PreparedStatement,

    pub(super) family: PreparedStatement,
    pub(super) family_serial: PreparedStatement,
    pub(super) make_family: PreparedStatement,
    pub(super) replace_family: PreparedStatement,
    pub(super) deployment_serial: PreparedStatement,
    pub(super) make_deployment: PreparedStatement,
    pub(super) signing_keys: PreparedStatement,
    pub(super) signing_keys_serial: PreparedStatement,
    pub(super) replace_signing_keys: PreparedStatement,

    pub(super) worker_leases: PreparedStatement,
    /// Settles compare-and-sets whose outcome is open.
    pub(super) worker_lease_serial: PreparedStatement,
    pub(super) make_worker_lease: PreparedStatement,
    pub(super) replace_worker_lease: PreparedStatement,

    pub(super) settings_newest: PreparedStatement,
    pub(super) settings_version: PreparedStatement,
    /// Settles compare-and-sets whose outcome is open.
    pub(super) settings_version_serial: PreparedStatement,
    pub(super) settings_below: PreparedStatement,
    pub(super) make_settings: PreparedStatement,

    pub(super) directory: DirectoryStatements,
}

const LOG_ROW: &str = "SELECT epoch, raiser, spans, deleted, opened_at FROM room_log WHERE room = ?";
const FAMILY: &str = "SELECT family FROM families WHERE device = ?";
const SETTINGS_VERSION: &str = "SELECT version FROM settings WHERE id = 0 AND number = ?";
const SIGNING_KEYS: &str = "SELECT signing_keys FROM deployment WHERE id = 0";

impl Statements {
    #[rustfmt::skip]
    pub(super) async fn prepare(session: &Session, keyspace: &Keyspace) -> Result<Self, Failure> {
        let prepare = |cql| prepare(session, keyspace, cql, None);
        let serial = |cql| prepare_serial(session, keyspace, cql);
        Ok(Self {
            log_row: prepare(LOG_ROW).await?,
            log_row_serial: serial(LOG_ROW).await?,
            make_log: prepare(
                "INSERT INTO room_log (room, epoch, raiser, deleted) VALUES (?, ?, ?, false) IF NOT EXISTS",
            ).await?,
            raise: prepare("UPDATE room_log SET epoch = ?, raiser = ? WHERE room = ? IF epoch = ?").await?,
            begin: prepare(
                "UPDATE room_log SET spans[?] = ?, opened_at = toUnixTimestamp(now()) \
                 WHERE room = ? IF epoch = ? AND raiser = ? AND spans[?] = null",
            ).await?,
            log_epochs: prepare("SELECT room, epoch FROM room_log").await?,

            put_key: prepare(
                "INSERT INTO keys (room, author, key, epoch, seq, body_hash) VALUES (?, ?, ?, ?, ?, ?) \
                 USING TIMESTAMP ?",
            ).await?,
            put_message: prepare(
                "INSERT INTO messages (room, bucket, ordinal, epoch, id, seq, event) VALUES (?, ?, ?, ?, ?, ?, ?) \
                 USING TIMESTAMP ?",
            ).await?,
            put_event: prepare(
                "INSERT INTO events (room, bucket, seq, epoch, event, body_hash, renumbered) \
                 VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?",
            ).await?,
            mark_renumbered: prepare(
                "UPDATE events USING TIMESTAMP ? SET renumbered = true \
                 WHERE room = ? AND bucket = ? AND seq = ? AND epoch = ?",
            ).await?,
            note_bucket: prepare("UPDATE room_head USING TIMESTAMP ? SET events_bucket = ? WHERE room = ?").await?,
            note_head: prepare(
                "UPDATE room_head USING TIMESTAMP ? SET epoch = ?, seq = ?, at = ?, ordinal = ?, state_seq = ? \
                 WHERE room = ?",
            ).await?,

            last_bucket: prepare("SELECT events_bucket FROM room_head WHERE room = ?").await?,
            events: prepare(
                "SELECT seq, epoch, event, body_hash, renumbered FROM events \
                 WHERE room = ? AND bucket = ? AND seq >= ? LIMIT ?",
            ).await?,
            keys: prepare("SELECT epoch, seq, body_hash FROM keys WHERE room = ? AND author = ? AND key = ?").await?,
            head: prepare("SELECT epoch, seq, at, ordinal, state_seq FROM room_head WHERE room = ?").await?,

            messages_down: prepare(
                "SELECT ordinal, epoch, seq, event FROM messages WHERE room = ? AND bucket = ? AND ordinal <= ?",
            ).await?,
            messages_up: prepare(
                "SELECT ordinal, epoch, seq, event FROM messages WHERE room = ? AND bucket = ? AND ordinal >= ? \
                 ORDER BY ordinal ASC",
            ).await?,
            look: few(prepare(
                "SELECT ordinal, epoch, seq FROM messages WHERE room = ? AND bucket = ? AND ordinal <= ?",
            ).await?),

            family: prepare(FAMILY).await?,
            family_serial: serial(FAMILY).await?,
            make_family: prepare("INSERT INTO families (device, family) VALUES (?, ?) IF NOT EXISTS USING TTL ?").await?,
            replace_family: prepare("UPDATE families USING TTL ? SET family = ? WHERE device = ? IF family = ?").await?,
            deployment_serial: serial("SELECT name, identity FROM deployment WHERE id = 0").await?,
            make_deployment: prepare(
                "INSERT INTO deployment (id, name, identity) VALUES (0, ?, ?) IF NOT EXISTS",
            ).await?,
            signing_keys: prepare(SIGNING_KEYS).await?,
            signing_keys_serial: serial(SIGNING_KEYS).await?,
            replace_signing_keys: prepare(
                "UPDATE deployment SET signing_keys = ? WHERE id = 0 IF signing_keys = ?",
            ).await?,

            worker_leases: prepare("SELECT worker, holder, valid_until FROM workers").await?,
            worker_lease_serial: serial("SELECT worker, holder, valid_until FROM workers WHERE worker = ?").await?,
            make_worker_lease: prepare(
                "INSERT INTO workers (worker, holder, valid_until) VALUES (?, ?, ?) IF NOT EXISTS",
            ).await?,
            replace_worker_lease: prepare(
                "UPDATE workers SET holder = ?, valid_until = ? WHERE worker = ? IF holder = ? AND valid_until = ?",
            ).await?,

            settings_newest: prepare("SELECT version FROM settings WHERE id = 0 LIMIT 1").await?,
            settings_version: prepare(SETTINGS_VERSION).await?,
            settings_version_serial: serial(SETTINGS_VERSION).await?,
            settings_below: prepare("SELECT version FROM settings WHERE id = 0 AND number < ? LIMIT ?").await?,
            make_settings: prepare("INSERT INTO settings (id, number, version) VALUES (0, ?, ?) IF NOT EXISTS").await?,

            directory: DirectoryStatements::prepare(session, keyspace).await?,
        })
    }
}

/// For a statement whose first row is mostly all that is wanted.
fn few(mut statement: PreparedStatement) -> PreparedStatement {
    statement.set_page_size(4);
    statement
}

pub(super) fn prepare_serial<'a>(session: &'a Session, keyspace: &'a Keyspace, cql: &'a str) -> Preparing<'a> {
    prepare(session, keyspace, cql, Some(Consistency::LocalSerial))
}

pub(super) fn prepare<'a>(
    session: &'a Session,
    keyspace: &'a Keyspace,
    cql: &'a str,
    consistency: Option<Consistency>,
) -> Preparing<'a> {
    Box::pin(async move {
        let mut statement = session.prepare(qualified(keyspace, cql)).await?;
        statement.set_is_idempotent(true);
        statement.set_page_size(PAGE_ROWS);
        if let Some(consistency) = consistency {
            statement.set_consistency(consistency);
        }
        Ok(statement)
    })
}

/// A statement with the keyspace of its one table in it. Prepared without, it would mean another table on a connection
/// that uses another keyspace, and Cassandra warns of that again and again.
pub(super) fn qualified(keyspace: &Keyspace, cql: &str) -> String {
    let names_table = ["FROM ", "INTO ", "UPDATE "];
    let at = names_table.iter().find_map(|words| Some(cql.find(words)? + words.len()));
    let (before, table) = cql.split_at_checked(at.unwrap_or(0)).unwrap_or(("", cql));
    format!("{before}{}.{table}", keyspace.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_names_the_keyspace_of_its_table() {
        let keyspace: Keyspace = "chat".parse().unwrap();
        for (cql, expected) in [
            ("SELECT a FROM b WHERE c = ?", "SELECT a FROM chat.b WHERE c = ?"),
            ("INSERT INTO b (c) VALUES (?)", "INSERT INTO chat.b (c) VALUES (?)"),
            ("UPDATE b USING TIMESTAMP ? SET c = ?", "UPDATE chat.b USING TIMESTAMP ? SET c = ?"),
            ("DELETE FROM b WHERE c = ?", "DELETE FROM chat.b WHERE c = ?"),
        ] {
            assert_eq!(qualified(&keyspace, cql), expected);
        }
    }
}
