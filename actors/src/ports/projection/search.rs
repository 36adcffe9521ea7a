use std::collections::BTreeSet;

use bobchat_proto::wire::{self, RoomKind};
use unicode_normalization::UnicodeNormalization as _;

/// Longer beginnings are found by this much of them and then compared whole.
const BEGINNING_CHARS_MAX: usize = 12;

/// Whether a room is found by a search.
#[must_use]
pub fn is_listed(settings: &wire::RoomSettings) -> bool {
    settings.kind == RoomKind::Public as i32
}

/// The words of a name or a query as they are compared: NFKC, lower case, split at what is neither a
/// letter nor a digit. At most eight count.
#[must_use]
pub fn search_words(text: &str) -> Vec<String> {
    let folded: String = text.nfkc().flat_map(char::to_lowercase).collect();
    let words = folded.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.take(8).map(str::to_owned).collect()
}

/// Whether a room is found by a query of these words: for each of them, a word of its name begins with it.
#[must_use]
pub fn is_found(settings: &wire::RoomSettings, query: &[String]) -> bool {
    let name = search_words(&settings.name);
    is_listed(settings) && query.iter().all(|wanted| name.iter().any(|word| word.starts_with(wanted.as_str())))
}

/// The beginnings of the words that a room is found by: none when it is not listed, else the empty one too, which
/// finds all. A name has at most eight words that count, so these are at most 8 · 12 + 1.
#[must_use]
pub fn beginnings(settings: &wire::RoomSettings) -> BTreeSet<String> {
    if !is_listed(settings) {
        return BTreeSet::new();
    }
    let words = search_words(&settings.name);
    let beginnings = words.iter().flat_map(|word| (1..=BEGINNING_CHARS_MAX).map(|chars| beginning(word, chars)));
    beginnings.chain([""]).map(str::to_owned).collect()
}

/// The one of [`beginnings`] that finds the fewest rooms for a query: of its longest word. What it finds is compared
/// with the others by [`is_found`].
#[must_use]
pub fn longest_beginning(query: &[String]) -> &str {
    let longest = query.iter().max_by_key(|word| word.chars().count());
    longest.map_or("", |word| beginning(word, BEGINNING_CHARS_MAX))
}

/// The first characters of a word, all of a shorter one.
fn beginning(word: &str, chars: usize) -> &str {
    let end = word.char_indices().nth(chars).map_or(word.len(), |(end, _)| end);
    word.get(..end).unwrap_or(word)
}
