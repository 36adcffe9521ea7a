//! Bobchat, the binary.

use bobchat::config::{Config, Sources};
use bobchat::startup::Node;

fn main() -> anyhow::Result<()> {
    bobchat::auth::install_cryptography();
    let config = Config::load(&Sources::default()).map_err(|faults| anyhow::anyhow!("{faults}"))?;
    actix_rt::System::new().block_on(async move {
        let (node, server) = Node::start(config).await?;
        tracing::info!(address = %node.address, "listening");
        server.await?;
        Ok(())
    })
}
