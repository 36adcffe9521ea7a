use std::io::{self, Write as _};

use tokio::signal::unix::{SignalKind, signal};

use super::CommandError;
use crate::config::{Config, Layers};
use crate::startup::{Node, options};
use crate::telemetry::{Controls, Telemetry};

/// Runs the server until somebody stops it.
pub(super) fn run(layers: Layers) -> Result<(), CommandError> {
    let config = layers.own();
    let node = config.cluster.as_ref().and_then(options::node_name);
    let telemetry = Telemetry::start(&config.telemetry, node).map_err(CommandError::failed)?;
    let outcome = actix_rt::System::new().block_on(serve(layers, telemetry.controls()));
    // The runtime has ended: waiting for the collector holds nobody up.
    telemetry.shutdown();
    outcome
}

async fn serve(layers: Layers, telemetry: Controls) -> Result<(), CommandError> {
    // From here on, so that a signal while starting is not lost.
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let scheme = if layers.own().server.tls.is_some() { "https" } else { "http" };
    let banner = Banner { data: whereabouts(layers.own()), scheme };
    let (node, server) = tokio::select! {
        started = Node::start(layers, telemetry) => started.map_err(CommandError::failed)?,
        // A node may wait for its services for ever; nobody was let in yet, so nothing has to be put in order.
        _ = interrupted.recv() => return Ok(()),
        _ = terminated.recv() => return Ok(()),
    };
    if let Err(error) = banner.print(&node) {
        // Nobody reads it: no reason not to serve.
        tracing::warn!(error = %error, "could not print the banner");
    }
    tracing::info!(address = %node.address, version = env!("CARGO_PKG_VERSION"), "the server is ready");
    tokio::pin!(server);
    tokio::select! {
        ended = &mut server => {
            ended?;
            return Err(CommandError::Failed("the server ended by itself".to_owned()));
        }
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    tracing::info!("the server is draining");
    let (left, ended) = tokio::join!(node.stop(), server);
    tracing::info!(sessions_cut = left, "the server has ended");
    Ok(ended?)
}

/// Where the data is.
fn whereabouts(config: &Config) -> String {
    match &config.cluster {
        None => config.store.data.display().to_string(),
        Some(cluster) => {
            let nodes: Vec<_> = cluster.cassandra.nodes.iter().map(ToString::to_string).collect();
            format!("Cassandra at {}, keyspace {}", nodes.join(", "), cluster.cassandra.keyspace.as_str())
        }
    }
}

/// What somebody sees who started the server in a terminal.
struct Banner {
    data: String,
    /// Of the public address.
    scheme: &'static str,
}

impl Banner {
    fn print(&self, node: &Node) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "Bobchat {} is ready: {}://{}", env!("CARGO_PKG_VERSION"), self.scheme, node.address)?;
        writeln!(out, "  API page       {}://{}/api/docs", self.scheme, node.address)?;
        writeln!(out, "  for operators  http://{} (/metrics, /healthz, /readyz)", node.admin_address)?;
        writeln!(out, "  data           {}", self.data)?;
        writeln!(out, "  to stop it     press Ctrl-C, or send SIGTERM")?;
        out.flush()
    }
}
