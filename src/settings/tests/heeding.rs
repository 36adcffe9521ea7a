//! A node that goes by settings: what it applies, and what it keeps.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bobchat_actors::ids::{IdGenerator, IdMetrics};
use bobchat_actors::metrics::Metrics;
use bobchat_actors::nodes::NodePort;
use bobchat_actors::ports::memory::MemoryStore;
use bobchat_actors::ports::{
    Alone, Authenticator, Identity, NodeLife, NodeListener as _, Packet, SettingsReport, SignedOutDevice, Unavailable,
};
use bobchat_actors::{Core, CoreOptions, CorePorts};
use bobchat_proto::ids::NodeId;
use bobchat_proto::record::{Setting, SettingsVersion};
use bobchat_proto::wire;
use prometheus_client::registry::Registry;

use super::*;

/// A node that has nobody to serve, and the bursts that it applied.
struct Node {
    heeding: Arc<Heeding>,
    core: Arc<Core>,
    applied: Arc<Mutex<Vec<u64>>>,
}

impl Node {
    async fn over(text: &str, store: &Arc<dyn SettingsStore>) -> Self {
        let core = core().await;
        let applied = Arc::<Mutex<Vec<u64>>>::default();
        let noted = applied.clone();
        let effects: Effects = Box::new(move |config| noted.lock().unwrap().push(config.limits.sends_burst));
        let metrics = SettingsMetrics::register(&mut Registry::default());
        let heeding = Heeding::new(over(text, store, "node-1"), core.clone(), effects, metrics);
        Self { heeding, core, applied }
    }

    fn applied(&self) -> Vec<u64> {
        self.applied.lock().unwrap().clone()
    }

    fn report(&self) -> SettingsReport {
        self.core.settings.report()
    }

    async fn set(&self, burst: &str) {
        self.heeding.change(super::set(&[("limits.sends_burst", burst)]), None, ada()).await.unwrap();
    }
}

struct Nobody;

#[async_trait]
impl Authenticator for Nobody {
    async fn authenticate(&self, _: &str) -> Result<Identity, wire::Error> {
        Err(wire::Error::default())
    }

    fn forget(&self, _: SignedOutDevice) {}
}

async fn core() -> Arc<Core> {
    let clock = Arc::new(ManualClock::new(NOW));
    let store = MemoryStore::new(clock.clone());
    let ids = IdGenerator::open(clock.clone(), store.clone(), IdMetrics::default()).await.unwrap();
    let ports = CorePorts {
        log: store.clone(),
        history: store.clone(),
        directory: store,
        authenticator: Arc::new(Nobody),
        backplane: Arc::new(Alone),
        clock,
        ids: Arc::new(ids),
        nodes: NodePort::alone("0.1.0", "here"),
    };
    Core::new(ports, CoreOptions::default(), Metrics::register(&mut Registry::default()))
}

/// A store that can be away.
#[derive(Default)]
struct Distant {
    versions: MemorySettings,
    is_away: AtomicBool,
}

impl Distant {
    fn answer(&self) -> Result<&MemorySettings, Unavailable> {
        match self.is_away.load(Ordering::Relaxed) {
            true => Err(Unavailable::new("it is away")),
            false => Ok(&self.versions),
        }
    }
}

#[async_trait]
impl SettingsStore for Distant {
    async fn newest(&self) -> Result<Option<SettingsVersion>, Unavailable> {
        self.answer()?.newest().await
    }

    async fn version(&self, number: u64) -> Result<Option<SettingsVersion>, Unavailable> {
        self.answer()?.version(number).await
    }

    async fn below(&self, number: u64, limit: usize) -> Result<Vec<SettingsVersion>, Unavailable> {
        self.answer()?.below(number, limit).await
    }

    async fn add(&self, version: SettingsVersion) -> Result<Added, Unavailable> {
        self.answer()?.add(version).await
    }
}

fn raw(number: u64, token: u64, settings: &[(&str, &str)]) -> SettingsVersion {
    let setting = |(key, value): &(&str, &str)| Setting { key: (*key).to_owned(), value: (*value).to_owned() };
    SettingsVersion { number, token, settings: settings.iter().map(setting).collect(), ..SettingsVersion::default() }
}

#[tokio::test]
async fn a_change_holds_at_once_and_is_applied_once() {
    let node = Node::over("[limits]\nsends_burst = 3", &memory()).await;
    node.heeding.look().await.unwrap();
    node.set("4").await;
    for _ in 0..3 {
        node.heeding.look().await.unwrap();
    }
    assert_eq!(node.applied(), [3, 4], "what is judged already is left alone");
    let report = node.report();
    assert_eq!((report.version, report.refused, report.looked_at, report.unheeded), (1, None, NOW, false));
    node.heeding.roll_back(None, None, ada()).await.unwrap();
    assert_eq!((node.applied(), node.report().version), (vec![3, 4, 3], 2));
    let status = node.heeding.status().await.unwrap();
    assert!(status.version == 2 && status.nodes.len() == 1 && status.nodes[0].has(2), "{status:?}");
}

#[tokio::test]
async fn while_the_store_is_away_the_last_good_settings_hold() {
    let distant = Arc::new(Distant::default());
    let store: Arc<dyn SettingsStore> = distant.clone();
    let node = Node::over("", &store).await;
    node.set("4").await;
    distant.is_away.store(true, Ordering::Relaxed);
    assert!(node.heeding.look().await.is_err());
    let refused = node.heeding.change(set(&[("limits.sends_burst", "5")]), None, ada()).await.unwrap_err();
    assert!(matches!(refused, ChangeError::Unavailable(_)), "{refused}");
    assert_eq!((node.applied(), node.report().version), (vec![4], 1));
    distant.is_away.store(false, Ordering::Relaxed);
    node.heeding.look().await.unwrap();
    assert_eq!(node.applied(), [4], "nothing changed meanwhile");
}

/// Another node took the change; over this one's own configuration it is a contradiction.
#[tokio::test]
async fn what_is_wrong_for_a_node_is_refused_by_it_with_the_reason_and_the_last_good_holds() {
    let store = memory();
    let node = Node::over("[limits]\noutbound_bytes_total_max = \"2MiB\"", &store).await;
    node.set("4").await;
    let other = over("", &store, "node-2");
    let wish = set(&[("limits.outbound_bytes_max", "4MiB"), ("limits.sends_burst", "5")]);
    other.change(wish, None, ada()).await.unwrap();
    node.heeding.look().await.unwrap();
    assert_eq!(node.applied(), [4], "nothing of it");
    let report = node.report();
    assert_eq!((report.version, report.refused), (1, Some(2)));
    assert!(report.faults[0].contains("limits.outbound_bytes_total_max"), "{report:?}");
    assert!(!node.heeding.status().await.unwrap().nodes[0].has(2));
    let held = node.heeding.settings().held().await.unwrap();
    assert_eq!((held.version, held.holds, held.faults), (2, 1, report.faults));
    for (key, value, origin) in
        [("limits.sends_burst", "4", "version 1"), ("limits.outbound_bytes_max", "\"1MiB\"", "default")]
    {
        assert_eq!(super::value(node.heeding.settings(), key).await, (value.to_owned(), origin.to_owned()), "it holds");
    }
    other.roll_back(None, None, ada()).await.unwrap();
    node.heeding.look().await.unwrap();
    let report = node.report();
    assert_eq!((report.version, report.refused, report.faults.len()), (3, None, 0));
    assert_eq!(node.applied(), [4, 4]);
}

/// A node that starts has no last good version in memory: without looking back it would serve by its own file alone, and
/// what the deployment had closed would be open there again.
#[tokio::test]
async fn a_node_that_starts_while_the_newest_version_is_wrong_for_it_goes_by_the_one_before() {
    const OWN: &str = "[limits]\noutbound_bytes_total_max = \"2MiB\"";
    let store = memory();
    let running = Node::over(OWN, &store).await;
    running.set("4").await;
    let other = over("", &store, "node-2");
    for burst in ["5", "6"] {
        let wrong = set(&[("limits.outbound_bytes_max", "4MiB"), ("limits.sends_burst", burst)]);
        other.change(wrong, None, ada()).await.unwrap();
    }
    running.heeding.look().await.unwrap();
    let started = Node::over(OWN, &store).await;
    started.heeding.look().await.unwrap();
    assert_eq!((started.applied(), started.report()), (vec![4], running.report()), "as before its restart");
    assert_eq!((started.report().version, started.report().refused), (1, Some(3)));
    // None is good for it: its own configuration holds.
    let store = memory();
    store.add(raw(1, 1, &[("limits.outbound_bytes_max", "4MiB")])).await.unwrap();
    let first = Node::over(&format!("{OWN}\nsends_burst = 3"), &store).await;
    first.heeding.look().await.unwrap();
    assert_eq!((first.applied(), first.report().version, first.report().refused), (vec![3], 0, Some(1)));
}

/// As a node that starts then does: which version holds does not depend on when a node was there.
#[tokio::test]
async fn a_node_that_was_away_goes_by_the_newest_version_that_is_good_for_it() {
    let store = memory();
    let node = Node::over("[limits]\noutbound_bytes_total_max = \"2MiB\"", &store).await;
    node.set("4").await;
    let other = over("", &store, "node-2");
    for changed in [("limits.sends_burst", "5"), ("limits.outbound_bytes_max", "4MiB")] {
        other.change(set(&[changed]), None, ada()).await.unwrap();
    }
    node.heeding.look().await.unwrap();
    assert_eq!((node.applied(), node.report().version, node.report().refused), (vec![4, 5], 2, Some(3)));
}

/// The history says what held at the node that took a change, which may have refused the version that stood.
#[tokio::test]
async fn a_change_through_a_node_that_refused_a_version_is_told_from_what_held_there() {
    let store = memory();
    let node = Node::over("[limits]\noutbound_bytes_total_max = \"2MiB\"", &store).await;
    node.set("4").await;
    let other = over("", &store, "node-2");
    let wish = set(&[("limits.outbound_bytes_max", "4MiB"), ("limits.sends_burst", "5"), ("limits.pages_burst", "7")]);
    other.change(wish, None, ada()).await.unwrap();
    node.heeding.look().await.unwrap();
    let wish = Wish::Change {
        set: [("limits.sends_burst".to_owned(), "6".to_owned())].into(),
        unset: ["limits.outbound_bytes_max".to_owned()].into(),
    };
    let made = node.heeding.change(wish, None, ada()).await.unwrap();
    let told = |change: &ChangeView| {
        format!("{} {} {} -> {} {}", change.key, change.from, change.from_own, change.to, change.to_own)
    };
    assert_eq!(
        made.changes.iter().map(told).collect::<Vec<_>>(),
        ["limits.outbound_bytes_max \"1MiB\" true -> \"1MiB\" true", "limits.sends_burst 4 false -> 6 false"]
    );
}

/// It runs beside nodes of a newer program.
#[tokio::test]
async fn keys_that_a_program_does_not_know_are_left_out_told_and_kept() {
    let store = memory();
    let newer = raw(1, 9, &[("limits.not_yet", "8"), ("limits.sends_burst", "4"), ("server.listen", "1.2.3.4:5")]);
    assert_eq!(store.add(newer).await.unwrap(), Added::Done);
    let node = Node::over("", &store).await;
    node.heeding.look().await.unwrap();
    assert_eq!((node.applied(), node.report().version), (vec![4], 1));
    assert_eq!(node.report().ignored, ["limits.not_yet", "server.listen"]);
    node.set("5").await;
    let kept = store.newest().await.unwrap().unwrap().settings;
    assert!(kept.iter().any(|setting| setting.key == "limits.not_yet" && setting.value == "8"), "{kept:?}");
    node.heeding.change(unset(&["limits.not_yet"]), None, ada()).await.unwrap();
    assert_eq!(node.report().ignored, ["server.listen"]);
}

#[tokio::test]
async fn a_node_that_goes_by_its_own_configuration_says_so() {
    let store = memory();
    let node = Node::over("[server]\nlive_settings = false", &store).await;
    node.set("4").await;
    node.heeding.look().await.unwrap();
    assert!(node.applied().is_empty() && node.report().unheeded);
    assert_eq!(store.newest().await.unwrap().unwrap().number, 1, "for the others it stands");
    assert!(!node.heeding.status().await.unwrap().nodes[0].has(1));
}

/// Its Cassandra was restored: the numbers that it knew stand for something else now.
#[tokio::test]
async fn versions_of_a_restored_store_are_told_from_those_before() {
    let distant = Arc::new(Distant::default());
    let node = Node::over("", &(distant.clone() as Arc<dyn SettingsStore>)).await;
    node.set("4").await;
    node.set("5").await;
    distant.versions.forget();
    node.heeding.look().await.unwrap();
    assert_eq!((node.applied(), node.report().version), (vec![4, 5, 10], 0));
    distant.add(raw(1, 1, &[("limits.sends_burst", "6")])).await.unwrap();
    node.heeding.look().await.unwrap();
    assert_eq!((node.applied(), node.report().version), (vec![4, 5, 10, 6], 1));
}

#[tokio::test(start_paused = true)]
async fn a_node_looks_by_itself_and_at_once_when_it_is_told() {
    let store = memory();
    let node = Node::over("", &store).await;
    let (tended, core) = (node.heeding.clone(), node.core.clone());
    let tending = tokio::spawn(async move { tended.tend().await });
    let other = over("", &store, "node-2");
    other.change(set(&[("limits.sends_burst", "4")]), None, ada()).await.unwrap();
    tokio::time::sleep(LOOK_EVERY + Duration::from_millis(100)).await;
    assert_eq!(node.applied(), [4], "nobody told it");
    other.change(set(&[("limits.sends_burst", "5")]), None, ada()).await.unwrap();
    core.heard(NodeLife { node: NodeId::new(2).unwrap(), life: 1 }, Packet::SettingsChanged);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(node.applied(), [4, 5]);
    tending.abort();
}
