//! Where the harness prints: what it finds out is its output.

use std::io::Write as _;

/// Says a line to whoever runs the harness.
pub(crate) fn say(text: &str) {
    // A reader that went away is no reason to stop measuring.
    let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
}
