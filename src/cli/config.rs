//! `bobchat config`: settings of all nodes, while they run. Where a server uses the data folder it is asked, else what
//! it keeps is changed itself: the next start goes by it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::CommandError;
use super::operate::{alone, ask_server, read_from_server, say};
use super::table::table;
use crate::config::Layers;
use crate::settings::{
    Author, ChangeError, ChangeView, HeldView, NodeView, Settings, StatusView, VersionView, VersionsView, Wish,
};
use crate::web::admin::{ConfigChange, ConfigRollback};

/// How long a change is waited for: every node has it within 5 s, and asking takes a moment.
const APPLIED_WITHIN: Duration = Duration::from_secs(7);

/// How often it is asked which nodes have it.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// The columns of the status.
const HEAD: [&str; 6] = ["NODE", "PROGRAM", "ADDRESS", "VERSION", "LOOKED", "REMARKS"];

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Shows what holds for each key and where it comes from
    Get {
        /// Only these keys or sections; without any, those that can change while nodes run
        keys: Vec<String>,
    },
    /// Sets keys on all nodes, all of them or none: limits.sends_per_second=20
    Set {
        /// Keys and values
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = parse_setting)]
        settings: Vec<(String, String)>,
        #[command(flatten)]
        by: By,
    },
    /// Gives keys each node's own value again: that of its file, its environment or the default
    Unset {
        /// The keys
        #[arg(required = true)]
        keys: Vec<String>,
        #[command(flatten)]
        by: By,
    },
    /// Shows who changed what, when; newest first
    History {
        /// How many versions
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// Only versions below this one
        #[arg(long)]
        below: Option<u64>,
    },
    /// Brings back the settings of a version, which makes a new one; without a number, of the one before the last change
    Rollback {
        /// The version; 0 for no settings at all. Needed where the newest version is a rollback itself
        version: Option<u64>,
        #[command(flatten)]
        by: By,
    },
    /// Shows which version each node has applied; 1 when one of them has not the newest
    Status,
}

/// What is said with a change.
#[derive(Debug, Args)]
pub(super) struct By {
    /// Changes nothing unless this version stands; without it, the one that the command read
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
    /// Who changes it, for the history; without it, the user that the command runs as
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// What for, for the history
    #[arg(long, default_value = "")]
    note: String,
}

fn parse_setting(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
    parts.ok_or_else(|| "expected KEY=VALUE, such as limits.sends_per_second=20".to_owned())
}

pub(super) fn config(layers: &Layers, command: ConfigCommand) -> Result<(), CommandError> {
    match command {
        ConfigCommand::Get { keys } => get(layers, &keys),
        ConfigCommand::Set { settings, by } => set(layers, settings, by),
        ConfigCommand::Unset { keys, by } => change(layers, BTreeMap::new(), keys.into_iter().collect(), by),
        ConfigCommand::History { limit, below } => history(layers, limit, below),
        ConfigCommand::Rollback { version, by } => roll_back(layers, version, by),
        ConfigCommand::Status => status(layers),
    }
}

fn get(layers: &Layers, keys: &[String]) -> Result<(), CommandError> {
    let held = held(layers)?;
    let is_asked = |key: &str| keys.iter().any(|asked| key == asked || key.starts_with(&format!("{asked}.")));
    let asked = held.settings.iter().filter(|known| if keys.is_empty() { known.live } else { is_asked(&known.key) });
    let mut text = String::new();
    for known in asked {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} = {}  # {}", known.key, known.value, known.origin);
    }
    if text.is_empty() && !keys.is_empty() {
        let keys = keys.join(", ");
        return Err(CommandError::Failed(format!("there is no key {keys}; config.toml lists them all")));
    }
    for fault in &held.faults {
        let HeldView { version, holds, .. } = &held;
        let _ = writeln!(text, "# version {version} is wrong for this node, version {holds} holds: {fault}");
    }
    for key in &held.ignored {
        let _ = writeln!(text, "# version {} sets {key}, which this program does not know", held.holds);
    }
    if !held.heeded {
        let _ = writeln!(text, "# this node goes by its own configuration alone: server.live_settings = false");
    }
    say(text.trim_end())
}

fn set(layers: &Layers, settings: Vec<(String, String)>, by: By) -> Result<(), CommandError> {
    let mut set = BTreeMap::new();
    for (key, value) in settings {
        if set.insert(key.clone(), value).is_some() {
            return Err(CommandError::Failed(format!("{key} stands there twice")));
        }
    }
    change(layers, set, BTreeSet::new(), by)
}

fn change(layers: &Layers, set: BTreeMap<String, String>, unset: BTreeSet<String>, by: By) -> Result<(), CommandError> {
    let (if_version, author) = (expected(layers, &by)?, author(by));
    let Author { by, note } = author.clone();
    let request = ConfigChange { set: set.clone(), unset: unset.clone(), if_version: Some(if_version), by, note };
    let asked = ask_server(layers.own(), "/admin/config", &request)?;
    let wish = Wish::Change { set, unset };
    done(layers, asked, async |settings| settings.change(wish, Some(if_version), author).await)
}

fn roll_back(layers: &Layers, to: Option<u64>, by: By) -> Result<(), CommandError> {
    let (if_version, author) = (expected(layers, &by)?, author(by));
    let Author { by, note } = author.clone();
    let request = ConfigRollback { to, if_version: Some(if_version), by, note };
    let asked = ask_server(layers.own(), "/admin/config/rollback", &request)?;
    done(layers, asked, async |settings| settings.roll_back(to, Some(if_version), author).await)
}

/// Shows a change that a server made, once all nodes have it; or makes it where there is none.
fn done(
    layers: &Layers,
    asked: Option<VersionView>,
    make: impl AsyncFnOnce(Settings) -> Result<VersionView, ChangeError>,
) -> Result<(), CommandError> {
    match asked {
        Some(made) => {
            say(shown(&made).trim_end())?;
            wait_for_nodes(layers, made.version)
        }
        None => {
            let made = alone(layers, async |operator| make(operator.settings).await.map_err(refused))?;
            say(&format!(
                "{}no server uses {}: it holds from the next start on, and where others run within 5 s",
                shown(&made),
                layers.own().store.data.display()
            ))
        }
    }
}

fn wait_for_nodes(layers: &Layers, version: u64) -> Result<(), CommandError> {
    let begin = Instant::now();
    loop {
        let Some(status) = read_status(layers)? else { return Ok(()) };
        let (has, all) = (status.nodes.iter().filter(|node| node.has(version)).count(), status.nodes.len());
        if has == all {
            return say(&format!("applied by {all} of {all} nodes"));
        }
        if begin.elapsed() > APPLIED_WITHIN || status.nodes.iter().all(|node| is_settled(node, version)) {
            say(standing(&status, now()).trim_end())?;
            return Err(CommandError::Failed(format!(
                "version {version} stands, and {has} of {all} nodes have applied it"
            )));
        }
        std::thread::sleep(ASK_AGAIN_AFTER);
    }
}

/// Whether waiting longer changes nothing. What the node says of an older version it said before it looked.
fn is_settled(node: &NodeView, version: u64) -> bool {
    let has_refused = node.refused.is_some_and(|refused| refused >= version);
    node.has(version) || has_refused || (node.answered && !node.heeded)
}

fn history(layers: &Layers, limit: usize, below: Option<u64>) -> Result<(), CommandError> {
    let below_part = below.map(|below| format!("&below={below}")).unwrap_or_default();
    let asked = read_from_server(layers.own(), &format!("/admin/config/history?limit={limit}{below_part}"))?;
    let VersionsView { versions } = match asked {
        Some(versions) => versions,
        None => {
            alone(layers, async |operator| operator.settings.history(below, limit).await.map_err(CommandError::failed))?
        }
    };
    say(versions.iter().map(shown).collect::<String>().trim_end())
}

fn status(layers: &Layers) -> Result<(), CommandError> {
    let Some(status) = read_status(layers)? else {
        let data = layers.own().store.data.display();
        return Err(CommandError::Failed(format!("no server uses {data}: ask on a machine where one runs")));
    };
    say(standing(&status, now()).trim_end())?;
    match status.nodes.iter().filter(|node| !node.has(status.version)).count() {
        0 => Ok(()),
        others => Err(CommandError::Failed(format!("{others} of {} nodes have not applied it", status.nodes.len()))),
    }
}

fn read_status(layers: &Layers) -> Result<Option<StatusView>, CommandError> {
    read_from_server(layers.own(), "/admin/config/status")
}

fn held(layers: &Layers) -> Result<HeldView, CommandError> {
    match read_from_server(layers.own(), "/admin/config")? {
        Some(held) => Ok(held),
        None => alone(layers, async |operator| operator.settings.held().await.map_err(CommandError::failed)),
    }
}

/// The version that a change is made for.
fn expected(layers: &Layers, by: &By) -> Result<u64, CommandError> {
    by.if_version.map_or_else(|| Ok(held(layers)?.version), Ok)
}

fn author(By { by, note, .. }: By) -> Author {
    Author { by: by.unwrap_or_else(user), note }
}

/// The name of whom the command runs as. It goes by the system's list of users, not by what the environment says;
/// nothing checks it, for whoever may read the secret may say anything.
fn user() -> String {
    let id = rustix::process::getuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let is_them = |line: &&str| line.split(':').nth(2) == Some(&id.to_string());
    let name = users.lines().find(is_them).and_then(|line| line.split(':').next());
    name.map_or_else(|| format!("user {id}"), str::to_owned)
}

fn refused(error: ChangeError) -> CommandError {
    CommandError::Failed(error.to_string())
}

/// A version, and a line for each key that it changed.
fn shown(version: &VersionView) -> String {
    let VersionView { version, at, by, through, note, restores, changes } = version;
    let at = Timestamp::from_microsecond(*at).map_or_else(|_| at.to_string(), |at| format!("{at:.0}"));
    let mut text = format!("version {version}  {at}  by {by}, through {through}");
    if let Some(restored) = restores {
        // Writing to a string cannot fail.
        let _ = write!(text, ", as version {restored}");
    }
    if !note.is_empty() {
        let _ = write!(text, ": {note}");
    }
    text.push('\n');
    for ChangeView { key, from, from_own, to, to_own } in changes {
        let own = |is_own: &bool| if *is_own { " (own)" } else { "" };
        let _ = writeln!(text, "  {key}: {from}{} -> {to}{}", own(from_own), own(to_own));
    }
    text
}

fn standing(status: &StatusView, now: i64) -> String {
    let rows = status.nodes.iter().map(|node| row(node, status.version, now));
    format!("version {} is the newest\n{}", status.version, table(HEAD, rows))
}

fn row(node: &NodeView, newest: u64, now: i64) -> [String; 6] {
    let name = [node.id.clone(), node.program.clone(), node.address.clone()];
    let [id, program, address] = name;
    if !node.answered {
        return [id, program, address, "no answer".to_owned(), String::new(), String::new()];
    }
    let looked = Duration::from_micros(u64::try_from(now.saturating_sub(node.looked_at)).unwrap_or(0));
    let looked = if node.looked_at == 0 { "never".to_owned() } else { format!("{} s ago", looked.as_secs()) };
    let mut remarks = Vec::new();
    if !node.heeded {
        remarks.push("goes by its own configuration alone".to_owned());
    }
    if let Some(refused) = node.refused {
        remarks.push(format!("refused version {refused}: {}", node.faults.join("; ")));
    }
    if node.heeded && node.version < newest && node.refused.is_none_or(|refused| refused < newest) {
        remarks.push(format!("version {newest} not applied yet"));
    }
    if !node.ignored.is_empty() {
        remarks.push(format!("does not know {}", node.ignored.join(", ")));
    }
    [id, program, address, node.version.to_string(), looked, remarks.join("; ")]
}

fn now() -> i64 {
    Timestamp::now().as_microsecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, version: u64) -> NodeView {
        NodeView {
            id: id.to_owned(),
            program: "0.1.0".to_owned(),
            address: "a:8081".to_owned(),
            answered: true,
            version,
            refused: None,
            faults: Vec::new(),
            ignored: Vec::new(),
            looked_at: 59_000_000,
            heeded: true,
        }
    }

    #[test]
    fn each_node_says_what_it_has_and_why_not() {
        let faults = vec!["limits.sends_burst = \"0\" (from version 4): expected 1 to 9".to_owned()];
        let nodes = vec![
            node("1", 4),
            NodeView { refused: Some(4), faults, ..node("2", 3) },
            NodeView { answered: false, ..node("3", 0) },
            NodeView { ignored: vec!["limits.new".to_owned()], looked_at: 0, ..node("4", 4) },
            NodeView { heeded: false, ..node("5", 0) },
            node("6", 3),
            NodeView { refused: Some(3), faults: vec!["no".to_owned()], ..node("7", 2) },
        ];
        let has: Vec<_> = nodes.iter().map(|node| node.has(4)).collect();
        assert_eq!(has, [true, false, false, true, false, false, false]);
        let is_settled: Vec<_> = nodes.iter().map(|node| is_settled(node, 4)).collect();
        assert_eq!(is_settled, [true, true, false, true, true, false, false], "the last refused an older one");
        let expected = "\
version 4 is the newest
NODE  PROGRAM  ADDRESS  VERSION    LOOKED   REMARKS
1     0.1.0    a:8081   4          1 s ago
2     0.1.0    a:8081   3          1 s ago  refused version 4: limits.sends_burst = \"0\" (from version 4): expected 1 to 9
3     0.1.0    a:8081   no answer
4     0.1.0    a:8081   4          never    does not know limits.new
5     0.1.0    a:8081   0          1 s ago  goes by its own configuration alone
6     0.1.0    a:8081   3          1 s ago  version 4 not applied yet
7     0.1.0    a:8081   2          1 s ago  refused version 3: no; version 4 not applied yet
";
        assert_eq!(standing(&StatusView { version: 4, nodes }, 60_000_000), expected);
    }

    #[test]
    fn a_version_says_who_changed_what_from_what() {
        let change = ChangeView {
            key: "limits.room_idle".to_owned(),
            from: "\"5m\"".to_owned(),
            from_own: true,
            to: "\"1m\"".to_owned(),
            to_own: false,
        };
        let version = VersionView {
            version: 2,
            at: 1_767_225_601_000_000,
            by: "ada".to_owned(),
            through: "a:8081".to_owned(),
            note: "memory".to_owned(),
            restores: Some(1),
            changes: vec![change],
        };
        let expected = "\
version 2  2026-01-01T00:00:01Z  by ada, through a:8081, as version 1: memory
  limits.room_idle: \"5m\" (own) -> \"1m\"
";
        assert_eq!(shown(&version), expected);
    }

    #[test]
    fn a_value_may_hold_signs_of_equality() {
        let setting = parse_setting("telemetry.log_filter=info,bobchat=debug");
        assert_eq!(setting, Ok(("telemetry.log_filter".to_owned(), "info,bobchat=debug".to_owned())));
        assert!(parse_setting("limits.sends_burst").is_err());
    }
}
