//! Which bug a build for tests is to have.

use std::io::{Write as _, stderr};

use bobchat_actors::plant::{self, Bug};

use super::CommandError;

/// Names the bug.
const VARIABLE: &str = "BOBCHAT_PLANT";

/// Plants the bug that the environment names; empty counts as none.
///
/// # Errors
/// There is no such bug: the list of those that there are.
pub(super) fn plant() -> Result<(), CommandError> {
    match std::env::var(VARIABLE) {
        Ok(name) if !name.is_empty() => {
            plant::plant(name.parse::<Bug>().map_err(|error| CommandError::Failed(format!("{VARIABLE}: {error}")))?);
            // Nothing can be done about a stderr that is closed.
            let _ =
                writeln!(stderr(), "This build is for tests, and {VARIABLE} plants a bug: it will break its promises.");
            Ok(())
        }
        _ => Ok(()),
    }
}
