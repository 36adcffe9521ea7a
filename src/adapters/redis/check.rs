use futures_util::future::try_join_all;
use redis::{RedisError, Value};

use super::connection::Connection;
use super::keys::{self, DEPLOYMENT, SHARDS};
use crate::pem::PemFault;

/// The oldest version that has flags of scripts and sharded channels.
const OLDEST: (u32, u32) = (7, 0);

/// Why a Redis is not used.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It does not answer, or not as Redis does.
    #[error("could not reach redis: {0}")]
    Unreachable(String),
    /// The authorities that are to be trusted, or who this node is, cannot be had.
    #[error(transparent)]
    Certificates(#[from] PemFault),
    /// It drops what it holds when its memory is full: rooms would lose what was acknowledged.
    #[error("redis evicts (maxmemory-policy {policy}): set maxmemory-policy to noeviction")]
    Evicts {
        /// Its policy.
        policy: String,
    },
    /// It lacks what scripts and channels need.
    #[error("redis is version {found}: use {}.{} or newer", OLDEST.0, OLDEST.1)]
    TooOld {
        /// Its version.
        found: String,
    },
    /// It holds the data of another deployment.
    #[error("redis belongs to deployment \"{found}\", this is \"{expected}\": use another redis, or another database")]
    OtherDeployment {
        /// Whose it is.
        found: String,
        /// Who asked.
        expected: String,
    },
    /// It follows another server, and takes no writes.
    #[error("redis is a replica at this address: name the primary")]
    Replica,
}

impl CheckError {
    pub(super) fn unreachable(cause: impl std::fmt::Display) -> Self {
        Self::Unreachable(cause.to_string())
    }
}

impl From<RedisError> for CheckError {
    fn from(error: RedisError) -> Self {
        Self::unreachable(error)
    }
}

/// Makes sure that a Redis may be used for a deployment: every primary keeps what it holds, and it belongs to
/// `deployment`, or to nobody yet, and then from now on to it (log protocol, rules 3 and 18).
///
/// An empty Redis of another environment cannot be told from our own that lost its data; rooms are opened on it
/// only after their epoch was raised in the store, which is compared too.
///
/// # Errors
/// [`CheckError`].
pub async fn check(connection: &Connection, deployment: &str) -> Result<(), CheckError> {
    let mut connection = connection.clone();
    for info in connection.info("server").await? {
        let found = field(&info, "redis_version").unwrap_or("unknown");
        if !is_new_enough(found) {
            return Err(CheckError::TooOld { found: found.to_owned() });
        }
    }
    for info in connection.info("replication").await? {
        if field(&info, "role").is_some_and(|role| role != "master") {
            return Err(CheckError::Replica);
        }
    }
    for info in connection.info("memory").await? {
        let policy = field(&info, "maxmemory_policy").unwrap_or("unknown");
        if policy != "noeviction" {
            return Err(CheckError::Evicts { policy: policy.to_owned() });
        }
    }
    // Two nodes that come first at once: one sets it, both read the same.
    if read_deployment(&mut connection).await?.is_none() {
        connection.query(redis::cmd("SET").arg(DEPLOYMENT).arg(deployment).arg("NX")).await?;
    }
    match read_deployment(&mut connection).await? {
        Some(found) if found == deployment => mark_shards(&connection, deployment).await,
        Some(found) => Err(CheckError::OtherDeployment { found, expected: deployment.to_owned() }),
        None => Err(CheckError::unreachable("the deployment that was just set is not there")),
    }
}

/// Writes in every shard of a cluster whose it is. A connection to one server is checked each time that it is made;
/// those to the servers of a cluster come back by themselves, so that scripts have to compare it.
async fn mark_shards(connection: &Connection, deployment: &str) -> Result<(), CheckError> {
    if matches!(connection, Connection::One(_)) {
        return Ok(());
    }
    let mark = async |shard| {
        let (mut connection, mut command) = (connection.clone(), redis::cmd("SET"));
        command.arg(keys::deployment(shard)).arg(deployment).arg("NX").arg("GET");
        let answer = connection.query(&command).await?;
        let before: Option<String> = redis::from_redis_value(answer).map_err(CheckError::unreachable)?;
        match before {
            Some(found) if found != deployment => {
                Err(CheckError::OtherDeployment { found, expected: deployment.to_owned() })
            }
            _ => Ok(()),
        }
    };
    try_join_all((0..SHARDS).map(mark)).await?;
    Ok(())
}

pub(super) async fn read_deployment(connection: &mut Connection) -> Result<Option<String>, RedisError> {
    let value: Value = connection.query(redis::cmd("GET").arg(DEPLOYMENT)).await?;
    Ok(redis::from_redis_value(value)?)
}

/// Whether a version, such as `7.0.15`, has what is needed.
#[must_use]
pub fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>());
    matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= OLDEST)
}

/// A field of `INFO`.
pub(super) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for good in ["7.0.0", "7.0.15", "7.2", "10.0.1"] {
            assert!(is_new_enough(good), "{good}");
        }
        for bad in ["6.2.14", "6.10.0", "unknown", "", "7"] {
            assert!(!is_new_enough(bad), "{bad}");
        }
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let info = "# Replication\r\nrole:master\r\nmaster_replid2:00\r\nmaster_replid:ab\r\n";
        assert_eq!(field(info, "master_replid"), Some("ab"));
        assert_eq!(field(info, "master"), None);
    }
}
