//! The schema, step by step. A step that was released is never changed: another one follows it.
//!
//! While nodes are exchanged one after the other, programs of two versions work on one keyspace, and one of the older
//! may start again on what the newer has stepped up. So a step only adds wherever that is possible, and says with
//! `oldest` that it leaves older programs alone: they may then neither misread what is new nor have to write it. What
//! takes something away, or gives something another meaning, follows a version later, when nobody uses it any more.

/// One change of the schema. Its statements can be repeated.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The version of the schema that it leads to: from 1, dense.
    pub version: u32,
    /// The oldest version that a program must know to work with what this step leaves. That of the step before where
    /// this one only adds what older programs need not know; else its own.
    pub oldest: u32,
    /// What it is for.
    pub what: &'static str,
    /// What is run, in order.
    pub cql: &'static [&'static str],
}

/// All steps, oldest first.
pub const STEPS: &[Step] = &[
    Step {
        version: 1,
        oldest: 1,
        what: "room logs: what decides about epochs, events, messages, idempotency keys, heads",
        cql: &[ROOM_LOG, EVENTS, MESSAGES, KEYS, ROOM_HEAD],
    },
    Step {
        version: 2,
        oldest: 2,
        what: "credentials: refresh families, signing keys; who makes identifiers",
        cql: &[FAMILIES, DEPLOYMENT, WORKERS],
    },
    Step {
        version: 3,
        oldest: 3,
        what: "directory: rooms, members, rooms of a user, search, users, claims",
        cql: &[CHANGES, ROOM_STATE, MEMBERSHIPS, ROOMS_OF, BEGINNINGS, USERS, NAMES, CLAIMS],
    },
    Step {
        version: 4,
        oldest: 3,
        what: "settings: what operators change while nodes run, and who did",
        cql: &[SETTINGS],
    },
];

/// A table, and what it has besides columns.
///
/// A read waits for two of three nodes, and one that has just died is still asked. Cassandra asks the third one when the
/// answer takes longer than almost all do (99 %); but of a table that was hardly read it believes that they take 2.5 s,
/// and while a node is dead its silence counts as the time that answers take. 100 ms are many times what a read takes.
macro_rules! table {
    ($table:literal) => {
        concat!($table, " WITH speculative_retry = 'MIN(99PERCENTILE,100MS)'")
    };
    ($table:literal, $options:literal) => {
        concat!($table, " WITH speculative_retry = 'MIN(99PERCENTILE,100MS)' AND ", $options)
    };
}

/// The newest version that there is.
pub(super) fn newest() -> u32 {
    STEPS.last().map_or(0, |step| step.version)
}

/// The oldest version that a program must know to work with a keyspace which has this one and does not say it, for it was
/// made when every program took the newest there was.
pub(super) fn oldest_at(version: u32) -> u32 {
    let known = STEPS.iter().take_while(|step| step.version <= version).map(|step| step.oldest).max();
    if version > newest() { version } else { known.unwrap_or(0) }
}

/// Only changed by compare and set. `spans` is epoch -> base; `opened_at` is when the newest of them began, in
/// milliseconds by the clock of the coordinator.
const ROOM_LOG: &str = table!(
    "CREATE TABLE IF NOT EXISTS room_log (
    room bigint PRIMARY KEY,
    epoch bigint,
    raiser blob,
    spans map<bigint, bigint>,
    deleted boolean,
    opened_at bigint
)"
);

/// A row says that the event is stored. Bucket = seq / 5 000; `event` is the protobuf message.
const EVENTS: &str = table!(
    "CREATE TABLE IF NOT EXISTS events (
    room bigint,
    bucket bigint,
    seq bigint,
    epoch bigint,
    event blob,
    body_hash bigint,
    renumbered boolean,
    PRIMARY KEY ((room, bucket), seq, epoch)
)",
    "CLUSTERING ORDER BY (seq ASC, epoch ASC)"
);

/// Bucket = ordinal / 10 000; `event` is the protobuf message. Pages are mostly of the newest messages.
const MESSAGES: &str = table!(
    "CREATE TABLE IF NOT EXISTS messages (
    room bigint,
    bucket bigint,
    ordinal bigint,
    epoch bigint,
    id bigint,
    seq bigint,
    event blob,
    PRIMARY KEY ((room, bucket), ordinal, epoch, id)
)",
    "CLUSTERING ORDER BY (ordinal DESC, epoch DESC, id DESC)"
);

/// Rows end by themselves and are never deleted, so nothing can come back: what has ended may go once hints,
/// which live for 3 hours, are delivered. A partition has what one user sent to a room in that time: at the 5 messages a
/// second that a user may send for long, half a million rows. Who sends much at once (a bridge, a bot) is written in
/// batches so.
const KEYS: &str = table!(
    "CREATE TABLE IF NOT EXISTS keys (
    room bigint,
    author bigint,
    key text,
    epoch bigint,
    seq bigint,
    body_hash bigint,
    PRIMARY KEY ((room, author), key, epoch, seq)
)",
    "default_time_to_live = 86400 AND gc_grace_seconds = 10800"
);

/// Both halves are only ever raised, by their timestamps: the head by position, `events_bucket` (the last
/// bucket that an event may stand in) by itself.
const ROOM_HEAD: &str = table!(
    "CREATE TABLE IF NOT EXISTS room_head (
    room bigint PRIMARY KEY,
    epoch bigint,
    seq bigint,
    at bigint,
    ordinal bigint,
    state_seq bigint,
    events_bucket bigint
)"
);

/// Only changed by compare and set.
const FAMILIES: &str = table!("CREATE TABLE IF NOT EXISTS families (device bigint PRIMARY KEY, family blob)");

/// One row, 0, only changed by compare and set. `name` is what operators call the deployment, `identity` what nobody
/// else is called; `signing_keys` is kid -> protobuf message.
const DEPLOYMENT: &str = table!(
    "CREATE TABLE IF NOT EXISTS deployment (
    id int PRIMARY KEY,
    name text,
    identity text,
    signing_keys frozen<map<text, blob>>
)"
);

/// Only changed by compare and set. A row stays when its lease has ended: the next one begins there.
const WORKERS: &str =
    table!("CREATE TABLE IF NOT EXISTS workers (worker int PRIMARY KEY, holder blob, valid_until bigint)");

/// The events that change a room's state, for as long as there is the room: what the directory is derived from.
/// Bucket = seq / 50 000.
const CHANGES: &str = table!(
    "CREATE TABLE IF NOT EXISTS changes (
    room bigint,
    bucket bigint,
    seq bigint,
    epoch bigint,
    event blob,
    PRIMARY KEY ((room, bucket), seq, epoch)
)",
    "CLUSTERING ORDER BY (seq ASC, epoch ASC)"
);

/// Beside the head: the fold of the changes up to `folded`, and the seq of the newest change that was projected, which
/// may be above. `people` counts who is or was a member.
const ROOM_STATE: &str = "ALTER TABLE room_head ADD IF NOT EXISTS (
    settings blob,
    members bigint,
    people bigint,
    folded bigint,
    changed bigint
)";

/// Who is or was a member, folded; see `parts` for the partitions.
const MEMBERSHIPS: &str = table!(
    "CREATE TABLE IF NOT EXISTS memberships (
    room bigint,
    part int,
    user bigint,
    membership blob,
    PRIMARY KEY ((room, part), user)
)"
);

/// The same by user. `changed` is the seq of the newest change about them that was projected.
const ROOMS_OF: &str = table!(
    "CREATE TABLE IF NOT EXISTS rooms_of (
    user bigint,
    room bigint,
    membership blob,
    changed bigint,
    PRIMARY KEY (user, room)
)"
);

/// How a word of a public room's name begins. A row is a hint: what it finds is compared with the room.
const BEGINNINGS: &str = table!(
    "CREATE TABLE IF NOT EXISTS beginnings (
    beginning text,
    part int,
    room bigint,
    PRIMARY KEY ((beginning, part), room)
)"
);

/// Only made and changed by compare and set; `record` lacks the handle. Where `made` is false nobody can be made any
/// more under that identifier.
const USERS: &str = table!(
    "CREATE TABLE IF NOT EXISTS users (
    user bigint PRIMARY KEY,
    made boolean,
    handle text,
    issuer text,
    subject text,
    record blob
)"
);

/// Handles (their issuer is empty) and subjects, only changed by compare and set. A claim counts once its user has
/// been made under that name.
const NAMES: &str = table!(
    "CREATE TABLE IF NOT EXISTS names (
    issuer text,
    name text,
    user bigint,
    claimed_at bigint,
    PRIMARY KEY ((issuer, name))
)"
);

/// Rooms to be made, by owner and idempotency key: twice as long as a key is honoured.
const CLAIMS: &str = table!(
    "CREATE TABLE IF NOT EXISTS claims (
    owner bigint,
    key text,
    room bigint,
    PRIMARY KEY ((owner, key))
)",
    "default_time_to_live = 172800"
);

/// Versions of the settings, all in one partition (0): they are made by people, and kept for ever. A row is only made by
/// compare and set, and never changed.
const SETTINGS: &str = table!(
    "CREATE TABLE IF NOT EXISTS settings (
    id int,
    number bigint,
    version blob,
    PRIMARY KEY (id, number)
)",
    "CLUSTERING ORDER BY (number DESC)"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_dense_and_can_be_repeated() {
        assert!(STEPS.iter().map(|step| step.version).eq(1..=newest()));
        assert!(STEPS.iter().flat_map(|step| step.cql).all(|cql| cql.contains("IF NOT EXISTS")));
    }

    #[test]
    fn what_a_step_asks_of_programs_never_falls() {
        assert!(STEPS.iter().map(|step| step.oldest).is_sorted());
        assert!(STEPS.iter().all(|step| step.oldest >= 1 && step.oldest <= step.version));
        assert_eq!((oldest_at(0), oldest_at(3), oldest_at(4)), (0, 3, 3));
        assert_eq!(oldest_at(newest() + 1), newest() + 1, "of what nobody here knows, nobody knows what it asks");
    }
}
