//! Finding public rooms by how the words of their names begin.
//!
//! Every beginning of every word is a row (beginning, room): a query of one word is one stretch of the
//! table, already in the order of rooms, and a page of it costs what the page holds. A name has at most
//! eight words that count, so a room has at most 8 * [`PREFIX_CHARS_MAX`] + 1 rows.

use std::collections::BTreeSet;

use bobchat_actors::ports::RoomRow;
use bobchat_actors::ports::projection::{is_found, is_listed, search_words};
use bobchat_proto::ids::RoomId;
use bobchat_proto::wire;

use super::directory::Rooms;
use super::tables::{PREFIXES, room_id};

/// Longer beginnings are found by this much of them and then compared whole.
const PREFIX_CHARS_MAX: usize = 12;

/// The rows of a room: none when it is not listed, else the empty beginning too, which finds all.
pub(super) fn prefixes(settings: &wire::RoomSettings) -> BTreeSet<String> {
    if !is_listed(settings) {
        return BTreeSet::new();
    }
    let words = search_words(&settings.name);
    let beginnings = words.iter().flat_map(|word| (1..=PREFIX_CHARS_MAX).map(|chars| beginning(word, chars)));
    beginnings.chain([""]).map(str::to_owned).collect()
}

/// The first characters of a word, all of a shorter one.
fn beginning(word: &str, chars: usize) -> &str {
    let end = word.char_indices().nth(chars).map_or(word.len(), |(end, _)| end);
    word.get(..end).unwrap_or(word)
}

/// Finds a page of rooms.
pub(super) fn search(
    transaction: &redb::ReadTransaction,
    query: &str,
    after: Option<RoomId>,
    limit: usize,
) -> Result<Vec<RoomRow>, redb::Error> {
    let words = search_words(query);
    // The longest word finds the fewest rooms; what it finds is compared with the others.
    let driver =
        words.iter().max_by_key(|word| word.chars().count()).map_or("", |word| beginning(word, PREFIX_CHARS_MAX));
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
