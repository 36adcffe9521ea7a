//! The secret of the operator's listener, in a file that only the server's own user can read: whoever may
//! read the data may administer.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::secret::Secret;

const NAME: &str = "admin.token";

/// Makes a new secret for this run of the server and leaves it in the data folder.
///
/// # Errors
/// What the system says when the file cannot be written.
pub fn create(data: &Path) -> io::Result<Secret> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let secret = URL_SAFE_NO_PAD.encode(bytes);
    // A node of a cluster keeps nothing else there.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data)?;
    // Made beside its place with the right mode from the start, so that nobody ever reads it half or open.
    let unfinished = data.join(format!("{NAME}.new"));
    let _ = fs::remove_file(&unfinished);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    writeln!(file, "{secret}")?;
    fs::rename(&unfinished, data.join(NAME))?;
    Ok(Secret::new(secret))
}

/// Reads the secret of the server that uses the data folder.
///
/// # Errors
/// What the system says: there is none where no server ever ran.
pub fn read(data: &Path) -> io::Result<Secret> {
    Ok(Secret::new(fs::read_to_string(data.join(NAME))?.trim()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_secret_is_new_each_time_and_for_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = create(folder.path()).unwrap();
        let second = create(folder.path()).unwrap();
        assert_ne!(first, second);
        assert_eq!(read(folder.path()).unwrap(), second);
        let mode = fs::metadata(folder.path().join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
