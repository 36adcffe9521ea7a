use std::io::{self, Write as _};

use super::CommandError;
use crate::adapters::cassandra::{CassandraOptions, CassandraStore, SchemaStatus};
use crate::config::Config;
use crate::startup::options;

/// Shows how the schema stands and what it lacks; with `apply`, makes that first. Nodes that start meanwhile do
/// not get in its way, nor it in theirs.
pub(super) fn schema(config: &Config, apply: bool) -> Result<(), CommandError> {
    let cluster = config.cluster.as_ref().ok_or_else(|| {
        CommandError::Failed(
            "there is no schema: redis and cassandra are not configured, the server is alone".to_owned(),
        )
    })?;
    let options = options::cassandra(cluster);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(async {
        if apply {
            CassandraStore::apply_schema(&options).await?;
        }
        CassandraStore::show_schema(&options).await
    });
    let status = status.map_err(CommandError::failed)?;
    Ok(io::stdout().lock().write_all(show(&options, &status).as_bytes())?)
}

fn show(options: &CassandraOptions, status: &SchemaStatus) -> String {
    let keyspace = options.keyspace.as_str();
    let stands = match status.replication {
        None => format!("-- keyspace {keyspace}: not there\n"),
        Some(copies) => {
            format!("-- keyspace {keyspace}: schema {}, copies of each row: {copies}\n", status.version)
        }
    };
    let mut text = format!("{stands}-- this version of bobchat knows schema {}\n", status.known);
    if status.version > status.known {
        text.push_str(match status.is_usable() {
            true => "-- a newer bobchat has added to it: this version works with it\n",
            false => "-- a newer bobchat has changed it: this version does not start with it\n",
        });
    }
    for step in status.missing() {
        text.push_str(&format!("\n-- missing: {}, {}\n", step.version, step.what));
        step.cql.iter().for_each(|cql| text.push_str(&format!("{cql};\n")));
    }
    text
}
