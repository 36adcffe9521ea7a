//! `bobchat ready`: whether a server is there for clients; for health checks of containers, which have no curl.

use std::time::Duration;

use ureq::Agent;
use ureq::tls::TlsConfig;

use super::CommandError;
use super::operate::say;
use crate::config::Config;
use crate::trust::{trusting, trusting_everybody};

/// Who has not answered by then is not there for clients either; below the time that health checks usually have.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What is shown of an answer: a page is no reason.
const ANSWER_BYTES_MAX: u64 = 1024;

/// Asks the operator's listener of this machine's server, or `url`. Not done unless the answer is a success.
pub(super) fn ready(config: &Config, url: Option<String>, insecure: bool) -> Result<(), CommandError> {
    let url = url.unwrap_or_else(|| format!("http://{}/readyz", config.server.admin_listen));
    let tls = match (url.starts_with("https://"), insecure) {
        (false, _) => TlsConfig::default(),
        (true, false) => trusting(None, None).map_err(CommandError::failed)?,
        (true, true) => trusting_everybody(),
    };
    let agent = Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).proxy(None);
    let agent = agent.tls_config(tls).build();
    let unanswered = |error| CommandError::Failed(format!("{url} does not answer: {error}"));
    let mut answer = Agent::new_with_config(agent).get(&url).call().map_err(unanswered)?;
    let status = answer.status();
    let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().unwrap_or_default();
    match status.is_success() {
        true => say("ready"),
        false => Err(CommandError::Failed(format!("{url} answers {}: {}", status.as_u16(), text.trim()))),
    }
}
