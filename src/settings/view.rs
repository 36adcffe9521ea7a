//! What is told of settings, by the operator's listener and the command line alike.

use bobchat_actors::ports::{Peer, SettingsReport};
use bobchat_proto::record::{SettingChange, SettingsVersion};
use serde::{Deserialize, Serialize};

/// What holds for a node, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldView {
    /// The newest version; 0 before the first.
    pub version: u64,
    /// The newest one that is good for the node that was asked, by which it goes; 0 for its own configuration.
    pub holds: u64,
    /// Whether the node goes by settings at all.
    pub heeded: bool,
    /// What is wrong with the newest version for the node, where that is another one.
    pub faults: Vec<String>,
    /// Keys of settings that its program does not know.
    pub ignored: Vec<String>,
    /// Every key of its configuration.
    pub settings: Vec<SettingView>,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingView {
    /// Section and key.
    pub key: String,
    /// The value, as it would stand in the file; of a secret only that it is set.
    pub value: String,
    /// Where it comes from: `version N`, a file, `the environment`, a flag; `default` where nobody said anything.
    pub origin: String,
    /// Whether it can change while nodes run.
    pub live: bool,
}

/// One key that a version changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeView {
    /// Section and key.
    pub key: String,
    /// What held before, at the node that took the change.
    pub from: String,
    /// Whether that was the node's own configuration, and no setting.
    pub from_own: bool,
    /// What holds now.
    pub to: String,
    /// Whether that is the node's own configuration again.
    pub to_own: bool,
}

/// One version: who changed what, when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionView {
    /// Its number.
    pub version: u64,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// Who, as they said.
    pub by: String,
    /// The node that took it.
    pub through: String,
    /// What for, as they said.
    pub note: String,
    /// The version that it brought back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
    /// What it changed.
    pub changes: Vec<ChangeView>,
}

/// Some versions, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionsView {
    /// The versions.
    pub versions: Vec<VersionView>,
}

/// Which settings hold at each node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// The newest version.
    pub version: u64,
    /// Every node that has a lease.
    pub nodes: Vec<NodeView>,
}

/// Which settings hold at one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// Names it among the nodes that run now.
    pub id: String,
    /// The version of its program.
    pub program: String,
    /// Where it listens for clients.
    pub address: String,
    /// Whether it answered: a program that is too old to know of settings does not.
    pub answered: bool,
    /// The version that it applied.
    pub version: u64,
    /// A newer one that it refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<u64>,
    /// Why.
    pub faults: Vec<String>,
    /// Keys that its program does not know.
    pub ignored: Vec<String>,
    /// When it last read which version is the newest, in microseconds since 1970 by its own clock.
    pub looked_at: i64,
    /// Whether it goes by settings at all.
    pub heeded: bool,
}

impl From<SettingsVersion> for VersionView {
    fn from(version: SettingsVersion) -> Self {
        let SettingsVersion { number, at, by, through, note, restores, changes, .. } = version;
        let changes = changes.into_iter().map(ChangeView::from).collect();
        Self { version: number, at, by, through, note, restores, changes }
    }
}

impl From<SettingChange> for ChangeView {
    fn from(SettingChange { key, from, from_own, to, to_own }: SettingChange) -> Self {
        Self { key, from, from_own, to, to_own }
    }
}

impl From<(Peer, Option<SettingsReport>)> for NodeView {
    fn from((peer, report): (Peer, Option<SettingsReport>)) -> Self {
        let answered = report.is_some();
        let SettingsReport { version, refused, faults, ignored, looked_at, unheeded } = report.unwrap_or_default();
        let (id, program, address) = (peer.life.node.to_string(), peer.version, peer.address);
        Self { id, program, address, answered, version, refused, faults, ignored, looked_at, heeded: !unheeded }
    }
}

impl NodeView {
    /// Whether this version holds at the node, or a newer one.
    #[must_use]
    pub fn has(&self, version: u64) -> bool {
        self.answered && self.heeded && self.version >= version
    }
}
