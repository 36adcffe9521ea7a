//! Whose keyspace it is (log protocol, rule 18).

use super::cas::applied;
use super::error::{Failure, OpenError};
use super::metrics::CassandraMetrics;
use super::options::{CassandraOptions, Keyspace};
use super::statements::Statements;
use scylla::client::session::Session;
use scylla::response::query_result::QueryResult;

/// Random digits behind the name: two deployments that were given the same name have different identities.
const DIGITS: usize = 16;

/// Reads the identity of the deployment that the keyspace belongs to. One that is nobody's yet is taken: of nodes that
/// come first at once all read what one of them wrote.
pub(super) async fn settle(
    session: &Session,
    statements: &Statements,
    options: &CassandraOptions,
) -> Result<String, OpenError> {
    let keyspace = || options.keyspace.as_str().to_owned();
    let settled = async {
        if let Some(stands) = read(session, statements, &options.metrics).await? {
            return Ok(stands);
        }
        let random = getrandom::u64().map_err(|error| Failure(error.to_string()))?;
        let identity = format!("{}-{random:0DIGITS$x}", options.deployment);
        let (make, values) = (&statements.make_deployment, (&options.deployment, &identity));
        let asked = options.metrics.measure(make.get_statement(), session.execute_unpaged(make, values)).await;
        let heard = asked.map_err(Failure::from).and_then(applied);
        if let Ok(is_done) = heard {
            options.metrics.compared(make.get_statement(), is_done);
        }
        match read(session, statements, &options.metrics).await? {
            Some(stands) => Ok(stands),
            // Its outcome is not known, and it may come late: whoever asks again finds what stands then.
            None => Err(heard.err().unwrap_or_else(|| Failure("what was written is not there".to_owned()))),
        }
    };
    let (name, identity) =
        settled.await.map_err(|cause: Failure| OpenError::Deployment { keyspace: keyspace(), cause })?;
    if name != options.deployment {
        let expected = options.deployment.clone();
        return Err(OpenError::OtherDeployment { keyspace: keyspace(), found: name, expected });
    }
    Ok(identity)
}

/// Whether an identity is one of a deployment with this name.
#[must_use]
pub fn is_identity_of(identity: &str, name: &str) -> bool {
    let digits = identity.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// Reads the name and the identity without settling what may be under way.
pub(super) async fn look(session: &Session, keyspace: &Keyspace) -> Result<Option<(String, String)>, Failure> {
    let asked = format!("SELECT name, identity FROM {}.deployment WHERE id = 0", keyspace.as_str());
    owner(session.query_unpaged(asked, ()).await?)
}

/// The name and the identity.
async fn read(
    session: &Session,
    statements: &Statements,
    metrics: &CassandraMetrics,
) -> Result<Option<(String, String)>, Failure> {
    let statement = &statements.deployment_serial;
    owner(metrics.measure(statement.get_statement(), session.execute_unpaged(statement, ())).await?)
}

fn owner(answer: QueryResult) -> Result<Option<(String, String)>, Failure> {
    let rows = answer.into_rows_result()?;
    let row = rows.maybe_first_row::<(Option<String>, Option<String>)>()?;
    Ok(row.and_then(|(name, identity)| name.zip(identity)))
}

#[cfg(test)]
mod tests {
    use super::is_identity_of;

    #[test]
    fn an_identity_is_a_name_and_digits() {
        assert!(is_identity_of("bob-chat-00c0ffee00c0ffee", "bob-chat"));
        for other in ["bob-00c0ffee00c0ffee", "bob-chat-eu-00c0ffee00c0ffee", "bob-chat", "bob-chat-00c0ffee00c0ffe"] {
            assert!(!is_identity_of(other, "bob-chat"), "{other}");
        }
    }
}
