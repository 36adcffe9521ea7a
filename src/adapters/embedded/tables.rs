//! What stands in the file: every table, its key and its value.
//!
//! Records are protobuf (`record.proto`, `event.proto`). An event is stored without its room and seq,
//! which its key says. Messages and other events stand in two tables, each by seq, so that a page of
//! messages is one stretch of a table at any depth, however many other events lie between.

use bobchat_actors::ports::Head;
use bobchat_proto::ids::{Epoch, Ordinal, Position, RoomId, Sequence, UserId};
use bobchat_proto::{record, wire};
use prost::Message;
use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::error::corrupt;

/// A table of records.
pub(super) type Records<K> = TableDefinition<'static, K, &'static [u8]>;
/// A table whose keys say everything.
pub(super) type Set<K> = TableDefinition<'static, K, ()>;

/// Room -> [`record::Head`].
pub(super) const HEADS: Records<u64> = TableDefinition::new("heads");
/// Room and epoch -> the seq that the epoch begins with; only of logs that were restored.
pub(super) const SPANS: TableDefinition<'static, (u64, u64), u64> = TableDefinition::new("spans");
/// Room and seq -> [`wire::Event`] with a message.
pub(super) const MESSAGES: Records<(u64, u64)> = TableDefinition::new("messages");
/// Room and seq -> [`wire::Event`] with anything else.
pub(super) const CHANGES: Records<(u64, u64)> = TableDefinition::new("changes");
/// [`key_of`] -> [`record::Key`].
pub(super) const KEYS: Records<&[u8]> = TableDefinition::new("keys");
/// Room -> [`record::Room`].
pub(super) const ROOMS: Records<u64> = TableDefinition::new("rooms");
/// Room and user -> [`record::Membership`], past ones too.
pub(super) const MEMBERSHIPS: Records<(u64, u64)> = TableDefinition::new("memberships");
/// User and room, while the user is a member.
pub(super) const ROOMS_OF: Set<(u64, u64)> = TableDefinition::new("rooms_of");
/// How a word of a public room's name begins, and the room: see [`super::search`].
pub(super) const PREFIXES: Set<(&str, u64)> = TableDefinition::new("prefixes");
/// Owner and idempotency key -> the room to be made.
pub(super) const CLAIMS: TableDefinition<'static, (u64, &str), u64> = TableDefinition::new("claims");
/// User -> [`record::User`].
pub(super) const USERS: Records<u64> = TableDefinition::new("users");
/// Handle -> user.
pub(super) const HANDLES: TableDefinition<'static, &str, u64> = TableDefinition::new("handles");
/// Issuer and subject -> user.
pub(super) const SUBJECTS: TableDefinition<'static, (&str, &str), u64> = TableDefinition::new("subjects");
/// Device -> [`record::RefreshFamily`].
pub(super) const FAMILIES: Records<u64> = TableDefinition::new("families");
/// Name of the key -> [`record::SigningKey`].
pub(super) const SIGNING_KEYS: Records<&str> = TableDefinition::new("signing_keys");
/// Number -> [`record::SettingsVersion`]. Not in stores that an older version made, until this one opens them.
pub(super) const SETTINGS: Records<u64> = TableDefinition::new("settings");
/// Numbers of the store itself: see [`super::meta`].
pub(super) const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");

/// Calls `$visit!(table)` for every table.
macro_rules! for_each_table {
    ($visit:ident) => {{
        use $crate::adapters::embedded::tables as t;
        $visit!(t::HEADS);
        $visit!(t::SPANS);
        $visit!(t::MESSAGES);
        $visit!(t::CHANGES);
        $visit!(t::KEYS);
        $visit!(t::ROOMS);
        $visit!(t::MEMBERSHIPS);
        $visit!(t::ROOMS_OF);
        $visit!(t::PREFIXES);
        $visit!(t::CLAIMS);
        $visit!(t::USERS);
        $visit!(t::HANDLES);
        $visit!(t::SUBJECTS);
        $visit!(t::FAMILIES);
        $visit!(t::SIGNING_KEYS);
        $visit!(t::SETTINGS);
        $visit!(t::META);
    }};
}
pub(super) use for_each_table;

/// Makes the tables that are not there, so that no reader meets a missing one.
pub(super) fn create(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    macro_rules! open {
        ($table:expr) => {
            transaction.open_table($table)?
        };
    }
    for_each_table!(open);
    Ok(())
}

/// The key of an idempotency key: room and author as 8 bytes each, then its characters as they came.
/// Clients make them in order (UUIDv7, counters), which keeps inserts together; a hash would scatter them.
pub(super) fn key_of(room: RoomId, author: u64, key: &str) -> Vec<u8> {
    [&room.get().to_be_bytes(), &author.to_be_bytes(), key.as_bytes()].concat()
}

/// Reads a record.
pub(super) fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M, redb::Error> {
    M::decode(bytes).map_err(|error| corrupt(format_args!("a record cannot be read: {error}")))
}

/// Reads a record of a table.
pub(super) fn get<'k, M, K>(
    table: &impl ReadableTable<K, &'static [u8]>,
    key: K::SelfType<'k>,
) -> Result<Option<M>, redb::Error>
where
    M: Message + Default,
    K: redb::Key + 'static,
{
    table.get(key)?.map(|bytes| decode(bytes.value())).transpose()
}

/// Reads an event; its key says room and seq.
pub(super) fn decode_event(room: u64, seq: u64, bytes: &[u8]) -> Result<wire::Event, redb::Error> {
    Ok(wire::Event { room, seq, ..decode(bytes)? })
}

/// Writes an event into `out`, without what its key says.
pub(super) fn encode_event(event: &mut wire::Event, out: &mut Vec<u8>) {
    let (room, seq) = (std::mem::take(&mut event.room), std::mem::take(&mut event.seq));
    out.clear();
    // A vector grows as needed: encoding into it cannot fail.
    event.encode_raw(out);
    (event.room, event.seq) = (room, seq);
}

pub(super) fn head_of(record: &record::Head) -> Head {
    Head {
        position: Position { epoch: Epoch(record.epoch), seq: Sequence(record.seq) },
        at: record.at,
        ordinal: Ordinal(record.ordinal),
        state_seq: Sequence(record.state_seq),
    }
}

pub(super) fn head_record(head: &Head) -> record::Head {
    record::Head {
        epoch: head.position.epoch.0,
        seq: head.position.seq.0,
        at: head.at,
        ordinal: head.ordinal.0,
        state_seq: head.state_seq.0,
    }
}

/// An identifier as it stands in a key or a value.
pub(super) fn user_id(raw: u64) -> Result<UserId, redb::Error> {
    UserId::new(raw).map_err(corrupt)
}

/// An identifier as it stands in a key or a value.
pub(super) fn room_id(raw: u64) -> Result<RoomId, redb::Error> {
    RoomId::new(raw).map_err(corrupt)
}
