//! The operator's commands. Where a server uses the data folder, it is asked to do them; else they are done
//! on the folder itself.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::CommandError;
use super::client::{Client, ClientError};
use crate::config::{Cluster, Config, Layers};
use crate::operator::Operator;
use crate::startup::{NO_BACKUP, open_for_operator};
use crate::web::admin::{BackupDone, BackupRequest, GrantRequest, TokenRequest, TokensDone, read_secret};

pub(super) fn backup(layers: &Layers, path: &Path) -> Result<(), CommandError> {
    let config = layers.own();
    if config.cluster.is_some() {
        return Err(CommandError::Failed(NO_BACKUP.to_owned()));
    }
    // The server may stand in another folder.
    let path = std::path::absolute(path)?;
    let request = BackupRequest { path: path.clone() };
    let bytes = match ask_server::<BackupDone>(config, "/admin/backup", &request)? {
        Some(done) => done.bytes,
        None => alone(layers, async |operator| (operator.backup)(&path).map_err(CommandError::Failed))?,
    };
    say(&format!("{bytes} bytes copied to {}", path.display()))
}

pub(super) fn restore(config: &Config, path: Option<&Path>) -> Result<(), CommandError> {
    match (&config.cluster, path) {
        (Some(cluster), None) => restore_cluster(cluster),
        (Some(_), Some(_)) => Err(CommandError::Failed(NO_BACKUP.to_owned())),
        (None, Some(path)) => restore_file(config, path),
        (None, None) => Err(CommandError::Failed("name the file that `bobchat backup` made".to_owned())),
    }
}

fn restore_cluster(cluster: &Cluster) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let rooms = runtime.block_on(crate::startup::restore_cluster(cluster)).map_err(CommandError::failed)?;
    let keyspace = cluster.cassandra.keyspace.as_str();
    say(&format!("{rooms} rooms of keyspace {keyspace} go on under new epochs: start the nodes"))
}

fn restore_file(config: &Config, path: &Path) -> Result<(), CommandError> {
    let bytes = crate::startup::restore(config, path).map_err(CommandError::failed)?;
    say(&format!("{bytes} bytes from {} are the store in {} now", path.display(), config.store.data.display()))
}

pub(super) fn grant(layers: &Layers, handle: &str) -> Result<(), CommandError> {
    let request = GrantRequest { handle: handle.to_owned() };
    if ask_server::<()>(layers.own(), "/admin/grant", &request)?.is_none() {
        let granted = alone(layers, async |operator| operator.grant(handle).await.map_err(CommandError::failed))?;
        if !granted {
            return Err(CommandError::Failed(format!("nobody has the handle {handle:?}")));
        }
    }
    say(&format!("@{} is an administrator now", handle.trim_start_matches('@')))
}

pub(super) fn token(layers: &Layers, count: u32, seconds: u32) -> Result<(), CommandError> {
    let lifetime = Duration::from_secs(u64::from(seconds));
    let tokens = match ask_server::<TokensDone>(layers.own(), "/admin/token", &TokenRequest { count, seconds })? {
        Some(done) => done.tokens,
        None => alone(layers, async |operator| operator.tokens(count, lifetime).await.map_err(CommandError::failed))?,
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    for token in tokens {
        writeln!(out, "{}", serde_json::to_string(&token).map_err(CommandError::failed)?)?;
    }
    Ok(out.flush()?)
}

/// Asks the server that uses the data folder; `None` when there is none: nobody listens, or another server
/// does, which does not know the folder's secret.
pub(super) fn ask_server<T: DeserializeOwned>(
    config: &Config,
    path: &str,
    request: &impl Serialize,
) -> Result<Option<T>, CommandError> {
    with_server(config, |client| client.post(path, &[], request))
}

/// Reads something from the server that uses the data folder; `None` as with [`ask_server`].
pub(super) fn read_from_server<T: DeserializeOwned>(config: &Config, path: &str) -> Result<Option<T>, CommandError> {
    with_server(config, |client| client.get(path))
}

fn with_server<T>(
    config: &Config,
    ask: impl FnOnce(&Client) -> Result<T, ClientError>,
) -> Result<Option<T>, CommandError> {
    let secret = match read_secret(&config.store.data) {
        Ok(secret) => secret,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(&config.store.data, &error)),
    };
    let client = Client::new(format!("http://{}", config.server.admin_listen)).with_token(secret);
    match ask(&client) {
        Ok(done) => Ok(Some(done)),
        Err(ClientError::Nobody(_) | ClientError::Refused { status: 401, .. }) => Ok(None),
        Err(error) => Err(CommandError::failed(error)),
    }
}

fn unreadable(data: &Path, error: &io::Error) -> CommandError {
    CommandError::Failed(format!("could not read admin.token in {}: {error}", data.display()))
}

/// Does the work on the data folder itself.
pub(super) fn alone<T>(
    layers: &Layers,
    work: impl AsyncFnOnce(Operator) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { work(open_for_operator(layers).await.map_err(CommandError::failed)?).await })
}

pub(super) fn say(line: &str) -> Result<(), CommandError> {
    Ok(writeln!(io::stdout(), "{line}")?)
}
