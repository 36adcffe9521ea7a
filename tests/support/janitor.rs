//! Tidies up behind what is never dropped because the whole test run shares it.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Removes a folder when this process has ended, however it ends: when the other end of a pipe is closed.
pub(crate) fn remove_afterwards(folder: &Path) {
    let mut janitor = Command::new("sh");
    janitor.args(["-c", "cat >/dev/null; rm -rf \"$0\""]).arg(folder).stdin(Stdio::piped());
    // In a group of its own, so that what ends this process does not end the janitor.
    janitor.process_group(0);
    // Whoever is forgotten keeps its pipe open to the end.
    std::mem::forget(janitor.spawn().unwrap());
}
