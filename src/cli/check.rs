mod cassandra;
mod data;
mod finding;
mod redis;
mod tls;

use std::io::{self, Write as _};
use std::path::Path;

use jiff::Timestamp;

use super::CommandError;
use crate::adapters::cassandra::Owner;
use crate::auth::ExternalIssuers;
use crate::config::{Config, Effective, Fault, Faults, Sources};
use crate::telemetry;
use crate::trust::TrustError;
use crate::web::tls::Identity;
use finding::Finding;

/// Prints the configuration as it would hold, in the form of a file; then looks at what it names, and says of each
/// thing whether it is good. Changes nothing. Keys of external issuers are read too.
pub(super) fn check(sources: &Sources) -> Result<(), CommandError> {
    let (config, effective) = Config::explain(sources)?;
    let (identity, faults) = read_files(&config);
    if !faults.is_empty() {
        return Err(Faults(faults).into());
    }
    let mut out = io::stdout().lock();
    out.write_all(show(&effective).as_bytes())?;
    writeln!(out, "\n# The configuration is valid. What it names:")?;
    let mut findings = look(&config)?;
    let now = Timestamp::now();
    findings.extend(identity.map(|identity| tls::judge_listener(identity.not_after, now)));
    findings.extend(tls::judge_clients(&config, now));
    for finding in &findings {
        writeln!(out, "# {finding}")?;
    }
    match findings.iter().filter(|finding| finding.is_bad()).count() {
        0 => Ok(()),
        1 => Err(CommandError::Failed("one thing is not as it has to be".to_owned())),
        count => Err(CommandError::Failed(format!("{count} things are not as they have to be"))),
    }
}

/// Reads the files without which a node does not start; what is wrong with them is wrong with the configuration.
fn read_files(config: &Config) -> (Option<Identity>, Vec<Fault>) {
    let fault = |key: &str, file: &Path, expected: String| {
        let (key, value) = (key.to_owned(), Some(file.display().to_string()));
        Fault { key, value, origin: None, expected }
    };
    let mut faults = Vec::new();
    if let Err(unusable) = ExternalIssuers::load(&config.auth.external) {
        faults.extend(unusable.into_iter().map(|key| fault("auth.external", &key.path, key.cause)));
    }
    let identity = match config.server.tls.as_ref().map(Identity::load) {
        None => None,
        Some(Ok(identity)) => Some(identity),
        Some(Err(unusable)) => {
            faults.push(fault(unusable.key, &unusable.file, unusable.cause));
            None
        }
    };
    if let Err(error) = telemetry::trust(&config.telemetry) {
        let (key, file) = match &error {
            TrustError::File(fault) => (telemetry::key_of(&config.telemetry, &fault.file), fault.file.as_path()),
            TrustError::Machine => ("telemetry.otlp_certificates", Path::new("")),
        };
        faults.push(fault(key, file, error.to_string()));
    }
    (identity, faults)
}

/// Looks at all that the configuration names.
fn look(config: &Config) -> Result<Vec<Finding>, CommandError> {
    let mut findings = data::check(config);
    if let Some(cluster) = &config.cluster {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let looking = async { tokio::join!(redis::look(cluster), cassandra::look(cluster)) };
        let (redis, cassandra) = runtime.block_on(looking);
        // Whose Redis it has to be stands in Cassandra, as at a start.
        let owner = cassandra.as_ref().map_or(&Owner::Unknown, |facts| &facts.owner);
        findings.extend(redis::judge(&redis, &cluster.deployment, owner));
        findings.extend(cassandra::judge(&cassandra, cluster));
    }
    Ok(findings)
}

fn show(effective: &[Effective]) -> String {
    let mut text = String::new();
    let mut section = "";
    for key in effective {
        if key.section != section {
            section = &key.section;
            text.push_str(&header(section, text.is_empty()));
        }
        let origin = key.origin.as_ref().map(|origin| format!("  # {origin}")).unwrap_or_default();
        text.push_str(&format!("{} = {}{origin}\n", key.key, key.value));
    }
    text
}

/// `auth.external[0]` is how faults name one of a list; the file writes it `[[auth.external]]`.
fn header(section: &str, is_first: bool) -> String {
    let gap = if is_first { "" } else { "\n" };
    match section.split_once('[') {
        Some((list, _)) => format!("{gap}[[{list}]]\n"),
        None => format!("{gap}[{section}]\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(section: &str, key: &str, value: &str, origin: Option<&str>) -> Effective {
        let (section, key, value) = (section.to_owned(), key.to_owned(), value.to_owned());
        Effective { section, key, value, origin: origin.map(str::to_owned) }
    }

    #[test]
    fn what_holds_is_shown_as_a_file_that_says_where_each_value_came_from() {
        let keys = [
            key("server", "listen", "\"127.0.0.1:1\"", Some("--listen")),
            key("server", "workers", "0", None),
            key("auth.external[0]", "issuer", "\"a\"", Some("config.toml")),
        ];
        let expected = "[server]\nlisten = \"127.0.0.1:1\"  # --listen\nworkers = 0\n\n\
            [[auth.external]]\nissuer = \"a\"  # config.toml\n";
        assert_eq!(show(&keys), expected);
    }
}
