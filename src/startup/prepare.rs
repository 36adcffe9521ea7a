//! What has to be there before the first client, and what goes on for as long as the node lives.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bobchat_actors::{Core, Worker, operations};
use bobchat_proto::wire;

use super::error::StartError;
use super::waiting::{Trouble, Waiting};
use crate::auth;
use crate::settings::Heeding;
use crate::web::admin::Service;

/// How often the age of the signing key is looked at.
const KEYS_LOOKED_AT_EVERY: Duration = Duration::from_secs(60 * 60);

/// The exit code of a process whose hub died (EX_SOFTWARE of sysexits.h).
const EXIT_HUB_DIED: i32 = 70;

/// Users of other sites who may wait to be welcomed.
const NEWCOMERS_MAX: usize = 1024;

/// Makes the welcome room where there is none, and starts what goes on for ever.
pub(super) async fn prepare(
    core: &Arc<Core>,
    auth: &Arc<auth::Service>,
    waiting: Waiting<'_>,
) -> Result<(), StartError> {
    let join = async || core.join_nodes().await.map_err(|error| Trouble::Passing(error.into()));
    waiting.until_done(Service::Redis, join).await?;
    let worker = Worker::start(core.clone());
    let welcome = async || operations::prepare_welcome(&worker).await.map_err(judge);
    waiting.until_done(Service::Log, welcome).await?;
    welcome_newcomers(worker, auth);
    let (tended, auth) = (core.clone(), auth.clone());
    actix_rt::spawn(async move { tended.tend().await });
    let among_nodes = core.clone();
    actix_rt::spawn(async move { among_nodes.tend_nodes().await });
    let catching_up = core.clone();
    actix_rt::spawn(async move { catching_up.catch_up().await });
    let watched = core.clone();
    actix_rt::spawn(async move {
        watched.hub_died().await;
        tracing::error!("a worker thread's hub has died: the process ends, so that its clients come back elsewhere");
        std::process::exit(EXIT_HUB_DIED);
    });
    actix_rt::spawn(async move {
        loop {
            tokio::time::sleep(KEYS_LOOKED_AT_EVERY).await;
            if let Err(error) = auth.rotate_keys().await {
                tracing::warn!(error = %error, "could not look at the signing keys, trying again later");
            }
        }
    });
    Ok(())
}

/// Has settings hold before the first client comes, and from then on. A node of a cluster waits until it can read them,
/// as for all that stands in Cassandra; later, what it read last holds while they cannot be read.
pub(super) async fn heed(settings: &Arc<Heeding>, waiting: Waiting<'_>) -> Result<(), StartError> {
    let look = async || settings.look().await.map_err(|error| Trouble::Passing(error.into()));
    waiting.until_done(Service::Cassandra, look).await?;
    let settings = settings.clone();
    actix_rt::spawn(async move { settings.tend().await });
    Ok(())
}

fn judge(error: wire::Error) -> Trouble {
    let trouble = if error.temporary { Trouble::Passing } else { Trouble::Lasting };
    trouble(StartError::Welcome(error.message))
}

/// Lets users of other sites land in the welcome room when they first come, as guests do. Who comes while
/// too many wait can join the room by themselves.
fn welcome_newcomers(worker: Rc<Worker>, auth: &auth::Service) {
    let (sender, mut newcomers) = tokio::sync::mpsc::channel(NEWCOMERS_MAX);
    auth.on_first_sight(move |user| {
        let _ = sender.try_send(user);
    });
    actix_rt::spawn(async move {
        while let Some(user) = newcomers.recv().await {
            if let Err(error) = operations::welcome(&worker, user).await {
                tracing::warn!(user.id = user.get(), error = error.message, "could not welcome a user");
            }
        }
    });
}
