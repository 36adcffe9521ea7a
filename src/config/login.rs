use super::read::Section;
use crate::secret::Secret;

/// A name and a password at a service; none where it lets everybody in.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Login {
    /// The name; none for the service's own default.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret>,
}

impl Login {
    /// Reads `username`, `password` and `password_file`. `is_used` says whether the section names a service, by
    /// the key `service`: a login for nobody shows that the name of the service was forgotten.
    pub(super) fn read(section: &mut Section<'_>, is_used: bool, service: &str) -> Self {
        let username: Option<String> = section.get("username", None);
        let password = section.secret("password");
        if !is_used && (username.is_some() || password.is_some()) {
            let expected = "a login is given, but not where; give both, or none for a node that is alone";
            section.contradiction(&[service, "username", "password"], expected);
        }
        if username.is_some() && password.is_none() && is_used {
            section.contradiction(&["username", "password"], "a name is given without a password; give both");
        }
        Self { username, password }
    }
}
