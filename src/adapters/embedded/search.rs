//! Finding public rooms by how the words of their names begin.
//!
//! Every beginning of every word is a row (beginning, room): a query of one word is one stretch of the
//! table, already in the order of rooms, and a page of it costs what the page holds.

use bobchat_actors::ports::RoomRow;
use bobchat_actors::ports::projection::{is_found, longest_beginning, search_words};
use bobchat_proto::ids::RoomId;

use super::directory::Rooms;
use super::tables::{PREFIXES, room_id};

/// Finds a page of rooms.
pub(super) fn search(
    transaction: &redb::ReadTransaction,
    query: &str,
    after: Option<RoomId>,
    limit: usize,
) -> Result<Vec<RoomRow>, redb::Error> {
    let words = search_words(query);
    let driver = longest_beginning(&words);
    let rooms = Rooms::open(transaction)?;
    let from = after.map_or(0, |after| after.get().saturating_add(1));
    let mut found = Vec::new();
    let table = transaction.open_table(PREFIXES)?;
    let mut candidates = table.range((driver, from)..=(driver, u64::MAX))?;
    while found.len() < limit
        && let Some(candidate) = candidates.next()
    {
        let (_, room) = candidate?.0.value();
        let row = rooms.row(room_id(room)?)?;
        found.extend(row.filter(|row| row.room.settings.as_ref().is_some_and(|it| is_found(it, &words))));
    }
    Ok(found)
}
