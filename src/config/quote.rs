//! Text as it stands in a TOML file.

use std::fmt::Write as _;

/// Writes text as a basic string of TOML. What would not show, or would show as something else, is escaped: the
/// operator's terminal prints it.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // More than one letter: Unicode has it as a control or as unprintable. Writing into text cannot fail.
            letter if letter.escape_debug().len() > 1 && letter != '\'' => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_read_as_it_was() {
        for text in ["", "plain", "it's", "a \"word\" \\ é€🦀", "\u{0}\u{7}\u{7f}\r\n\t", "\u{202e}bidi", "\u{301}mark"]
        {
            let file: toml::Table = format!("key = {}", quote(text)).parse().unwrap();
            assert_eq!(file["key"].as_str(), Some(text), "{}", quote(text));
        }
    }

    #[test]
    fn what_would_not_show_is_escaped() {
        assert_eq!(quote("a\u{1b}[31m\u{202e}"), "\"a\\U0000001B[31m\\U0000202E\"");
    }
}
