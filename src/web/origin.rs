//! Which web pages may open the chat socket (RFC 6454, RFC 6455 section 10.2).

use crate::config::Origin;

/// Judges the `Origin` header of an upgrade.
#[derive(Debug, Clone)]
pub struct OriginPolicy {
    allowed: Vec<Origin>,
}

impl OriginPolicy {
    /// Lets in pages of exactly these origins; with none, those that this server itself delivered.
    #[must_use]
    pub fn new(allowed: Vec<Origin>) -> Self {
        Self { allowed }
    }

    /// Whether a request with these headers may go on. Without an `Origin` it comes from a program, which
    /// no browser lets act in somebody's name.
    #[must_use]
    pub fn allows(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        if self.allowed.is_empty() { is_same(origin, host) } else { self.is_listed(origin) }
    }

    fn is_listed(&self, origin: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed.as_str().eq_ignore_ascii_case(origin))
    }
}

/// Browsers leave out the port that belongs to the scheme, in both headers; whether the scheme is the same
/// only the proxy in front knows.
fn is_same(origin: &str, host: Option<&str>) -> bool {
    let (Some((scheme, authority)), Some(host)) = (origin.split_once("://"), host) else { return false };
    matches!(scheme, "http" | "https") && !host.is_empty() && authority.eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_list_only_pages_of_this_server_come_in() {
        let policy = OriginPolicy::new(Vec::new());
        let allows = |origin: &str| policy.allows(Some(origin), Some("chat.example.org"));
        assert!(allows("https://chat.example.org"));
        assert!(allows("http://Chat.Example.org"));
        for origin in [
            "https://evil.example",
            "null",
            "",
            "https://chat.example.org.evil.example",
            "https://evil-chat.example.org",
            "https://chat.example.org:8443",
            "https://chat.example.org/",
            "file://chat.example.org",
        ] {
            assert!(!allows(origin), "{origin:?}");
        }
        assert!(!policy.allows(Some("https://"), Some("")));
        assert!(!policy.allows(Some("https://chat.example.org"), None));
        assert!(policy.allows(None, Some("chat.example.org")), "a program");
    }

    #[test]
    fn with_a_list_exactly_its_pages_come_in() {
        let policy = OriginPolicy::new(vec!["https://www.example.org:443".parse().unwrap()]);
        assert!(policy.allows(Some("https://www.example.org"), Some("chat.example.org")));
        for origin in ["http://www.example.org", "https://chat.example.org", "https://www.example.org:8443", "null"] {
            assert!(!policy.allows(Some(origin), Some("chat.example.org")), "{origin:?}");
        }
    }
}
