//! Names that people choose: what is allowed in one, and the handle that is made of it.

// Reads what strangers send: a sum that does not fit has to be decided about.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use bobchat_proto::limits::USER_NAME_CHARS_MAX;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Marks on one letter that any script needs; more of them paint over other lines.
const MARKS_IN_A_ROW_MAX: usize = 4;

/// A handle in characters, before a suffix.
const HANDLE_LENGTH_MAX: usize = 32;

/// What begins the handle of somebody whose name has no Latin letter or digit.
const HANDLE_FALLBACK: &str = "user";

/// Why a line of text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is left without the white space around it.
    #[error("must not be empty")]
    Empty,
    /// It is too long.
    #[error("must have at most {max} characters")]
    TooLong {
        /// How many characters it may have.
        max: usize,
    },
    /// It holds a character that cannot be seen, breaks the line or turns the direction of the text.
    #[error("must not contain the character U+{code:04X}")]
    Forbidden {
        /// The first such character.
        code: u32,
    },
    /// It piles up marks.
    #[error("must not have more than {MARKS_IN_A_ROW_MAX} combining marks in a row")]
    TooManyMarks,
}

/// Reads the name that a person wants to be shown by: 1 to 40 characters.
///
/// # Errors
/// [`NameError`] says what is not allowed.
pub fn display_name(text: &str) -> Result<String, NameError> {
    match line(text, USER_NAME_CHARS_MAX)? {
        empty if empty.is_empty() => Err(NameError::Empty),
        name => Ok(name),
    }
}

/// Reads one line of text that others will see, such as a room's topic: in NFC, without white space
/// around it, possibly empty, at most `max` characters.
///
/// # Errors
/// [`NameError`] says what is not allowed.
pub fn line(text: &str, max: usize) -> Result<String, NameError> {
    // NFC at most triples the number of bytes, so a text that is far too long is not even normalised.
    if text.len() > max.saturating_mul(16) {
        return Err(NameError::TooLong { max });
    }
    let line: String = text.trim().nfc().collect();
    if line.chars().count() > max {
        return Err(NameError::TooLong { max });
    }
    if let Some(character) = line.chars().find(|character| is_forbidden(*character)) {
        return Err(NameError::Forbidden { code: u32::from(character) });
    }
    if has_too_many_marks(&line) { Err(NameError::TooManyMarks) } else { Ok(line) }
}

/// Makes the beginning of a handle from a name: Latin letters without their marks, digits, and hyphens
/// for everything between. "Ada Lovelace" becomes `ada-lovelace`.
#[must_use]
pub fn handle_from(name: &str) -> String {
    let mut handle = String::new();
    for letter in name.nfkd().filter(|letter| !is_combining_mark(*letter)) {
        if handle.len() >= HANDLE_LENGTH_MAX {
            break;
        }
        match letter {
            'ß' => handle.push_str("ss"),
            letter if letter.is_ascii_alphanumeric() => handle.push(letter.to_ascii_lowercase()),
            _ if handle.ends_with('-') || handle.is_empty() => {}
            _ => handle.push('-'),
        }
    }
    let handle = handle.trim_end_matches('-');
    if handle.is_empty() { HANDLE_FALLBACK.to_owned() } else { handle.to_owned() }
}

/// Characters that have no place in a line that others see. The joiners U+200C and U+200D stay: Persian
/// and families of emoji need them.
fn is_forbidden(character: char) -> bool {
    matches!(character,
        '\u{0}'..='\u{1F}' | '\u{7F}'..='\u{9F}'    // control characters, line ends
        | '\u{AD}' | '\u{200B}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}' | '\u{180E}' // cannot be seen
        | '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{206F}' // direction
        | '\u{2028}' | '\u{2029}'                    // line and paragraph
        | '\u{FFF9}'..='\u{FFFB}' | '\u{FFFE}' | '\u{FFFF}' // annotations, no characters
        | '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' // fillers that look like nothing
        | '\u{E000}'..='\u{F8FF}' | '\u{F0000}'..='\u{10FFFF}' // private use
        | '\u{E0000}'..='\u{E007F}'                  // tags
    )
}

fn has_too_many_marks(line: &str) -> bool {
    let mut in_a_row = 0_usize;
    line.nfd().any(|character| {
        in_a_row = if is_combining_mark(character) { in_a_row.saturating_add(1) } else { 0 };
        in_a_row > MARKS_IN_A_ROW_MAX
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_composed() {
        assert_eq!(display_name("  Ada Lovelace \n").as_deref(), Ok("Ada Lovelace"));
        assert_eq!(display_name("Zoe\u{308}").as_deref(), Ok("Zoë"));
        assert_eq!(display_name("نیکا").as_deref(), Ok("نیکا"));
        assert_eq!(display_name("👩\u{200D}🚀").as_deref(), Ok("👩\u{200D}🚀"));
        assert_eq!(display_name(&"ä".repeat(40)).as_deref(), Ok("ä".repeat(40).as_str()));
    }

    #[test]
    fn what_deceives_or_cannot_be_seen_is_no_name() {
        assert_eq!(display_name(" \t"), Err(NameError::Empty));
        assert_eq!(display_name(&"a".repeat(41)), Err(NameError::TooLong { max: 40 }));
        assert_eq!(display_name(&"a".repeat(1 << 20)), Err(NameError::TooLong { max: 40 }));
        for bad in ['\u{202E}', '\u{2066}', '\u{0}', '\u{1B}', '\u{200B}', '\u{FEFF}', '\u{E0041}', '\u{3164}'] {
            let name = format!("a{bad}b");
            assert_eq!(display_name(&name), Err(NameError::Forbidden { code: u32::from(bad) }));
        }
        assert_eq!(display_name(&format!("a{}", "\u{301}".repeat(8))), Err(NameError::TooManyMarks));
    }

    #[test]
    fn a_handle_is_made_of_what_latin_letters_a_name_has() {
        for (name, handle) in [
            ("Ada Lovelace", "ada-lovelace"),
            ("  Zoë  O'Neill!! ", "zoe-o-neill"),
            ("Straße 7", "strasse-7"),
            ("李小龍", "user"),
            ("-_-", "user"),
            ("ﬁne", "fine"),
        ] {
            assert_eq!(handle_from(name), handle, "{name:?}");
        }
        assert!(handle_from(&"ß".repeat(40)).len() <= HANDLE_LENGTH_MAX + 1);
    }
}
