use std::time::Duration;

use bobchat_actors::ports::{LiveRefusal, Unavailable};
use redis::{ErrorKind, RedisError, ServerErrorKind};

/// When a refused append is worth trying again: a fail-over takes seconds, an archiver that lags less.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Answers that the server gives before it does anything. All others to a script may have come in its middle.
const REFUSALS: [&str; 15] = [
    "OOM",
    "MISCONF",
    "READONLY",
    "NOREPLICAS",
    "LOADING",
    "BUSY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "MOVED",
    "ASK",
    "NOSCRIPT",
    "NOAUTH",
    "NOPERM",
    "CROSSSLOT",
];

/// Why a command has no answer, by what is known of it.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum CallError {
    /// It was not sent: surely nothing was done.
    #[error("nothing was sent: {0}")]
    NotSent(String),
    /// The server refused it: surely nothing was done.
    #[error("redis refused: {code} {cause}")]
    Refused {
        /// The first word of its answer.
        code: String,
        /// The rest of it.
        cause: String,
    },
    /// It was sent, and what became of it is not known.
    #[error("redis gave no answer: {0}")]
    NoAnswer(String),
}

impl CallError {
    /// An answer that cannot be read as what it must be.
    pub(super) fn nonsense(what: impl std::fmt::Display) -> Self {
        Self::NoAnswer(format!("an answer that cannot be read: {what}"))
    }

    /// Whether the server said this and nothing else.
    pub(super) fn is_code(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }
}

impl From<RedisError> for CallError {
    fn from(error: RedisError) -> Self {
        let cause = error.detail().unwrap_or_default();
        // An error of a command inside a script carries the script's name: others of its writes may stand.
        let in_script = cause.contains("@user_script");
        match error.kind() {
            ErrorKind::ClusterConnectionNotFound | ErrorKind::AuthenticationFailed => Self::NotSent(error.to_string()),
            ErrorKind::Io if error.is_connection_refusal() => Self::NotSent(error.to_string()),
            ErrorKind::Server(_) | ErrorKind::Extension if !in_script => match error.code() {
                Some(code) if REFUSALS.contains(&code) => {
                    Self::Refused { code: code.to_owned(), cause: cause.to_owned() }
                }
                _ => Self::NoAnswer(error.to_string()),
            },
            _ => Self::NoAnswer(error.to_string()),
        }
    }
}

impl From<CallError> for Unavailable {
    fn from(error: CallError) -> Self {
        Self::new(error)
    }
}

impl From<CallError> for LiveRefusal {
    fn from(error: CallError) -> Self {
        match error {
            // Surely not appended, and no reason to believe that the log is lost.
            CallError::NotSent(_) | CallError::Refused { .. } => Self::Full { retry_after: RETRY_AFTER },
            CallError::NoAnswer(_) => Self::Unknown(error.into()),
        }
    }
}

/// Whether the connection is of no use any more.
pub(super) fn is_broken(error: &RedisError) -> bool {
    let demoted = error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
    demoted || error.is_unrecoverable_error() || (error.is_io_error() && !error.is_timeout())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_server(line: &str) -> CallError {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        CallError::from(value.extract_error().unwrap_err())
    }

    #[test]
    fn what_the_server_refused_surely_was_not_done() {
        for line in ["OOM command not allowed", "READONLY You can't write", "MISCONF Redis is configured to save"] {
            assert!(matches!(LiveRefusal::from(from_server(line)), LiveRefusal::Full { .. }), "{line}");
        }
    }

    #[test]
    fn what_failed_in_the_middle_of_a_script_is_unknown() {
        for line in [
            "NOPERM this user has no permissions script: 6e0, on @user_script:12.",
            "WRONGTYPE Operation against a key holding the wrong kind of value script: 6e0, on @user_script:12.",
            "ERR something",
        ] {
            assert!(matches!(LiveRefusal::from(from_server(line)), LiveRefusal::Unknown(_)), "{line}");
        }
    }
}
