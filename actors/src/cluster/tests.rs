//! The contracts of the ports that [`Cluster`] is, over the references in memory.

use std::time::Duration;

use bobchat_proto::ids::{Epoch, Sequence};
use bobchat_proto::wire::{self, event::Body};
use futures_util::FutureExt as _;
use prometheus_client::registry::Registry;

use super::*;
use crate::ports::contract;
use crate::ports::contract::{BEGIN_MICROS, Make, Stores, Subject};
use crate::ports::memory::{ManualClock, MemoryEventStore, MemoryLiveLog, MemoryStore};
use crate::ports::{Anchor, Append, AppendError, History as _, NewEvent, Outcome, Raiser, RoomLog as _};
use crate::room::body_hash;

/// What of the events is stored when a subject is opened again.
#[derive(Debug, Clone, Copy)]
enum Archived {
    Nothing,
    All,
}

/// A node of a cluster; whoever opens it again finds another node, which has seen nothing.
struct Nodes {
    clock: Arc<ManualClock>,
    live: Arc<MemoryLiveLog>,
    store: Arc<MemoryEventStore>,
    credentials: Arc<MemoryStore>,
    archived: Archived,
    cluster: Arc<Cluster>,
}

fn boxed(archived: Archived) -> Box<dyn Subject> {
    let clock = Arc::new(ManualClock::new(BEGIN_MICROS));
    let live = MemoryLiveLog::with_tail(Arc::clone(&clock) as _, 3);
    let store = MemoryEventStore::new(Arc::clone(&clock) as _);
    let credentials = MemoryStore::new(Arc::clone(&clock) as _);
    let cluster = node(&clock, &live, &store);
    Box::new(Nodes { clock, live, store, credentials, archived, cluster })
}

fn node(clock: &Arc<ManualClock>, live: &Arc<MemoryLiveLog>, store: &Arc<MemoryEventStore>) -> Arc<Cluster> {
    // The clock of a suite stands still: a window would never end.
    let options = ClusterOptions { salvage_for: Duration::ZERO, ..ClusterOptions::default() };
    Cluster::new(ports(clock, live, store), options, ClusterMetrics::register(&mut Registry::default()))
}

fn ports(clock: &Arc<ManualClock>, live: &Arc<MemoryLiveLog>, store: &Arc<MemoryEventStore>) -> ClusterPorts {
    ClusterPorts {
        live: Arc::clone(live) as _,
        store: Arc::clone(store) as _,
        history: Arc::clone(store) as _,
        directory: Arc::clone(store) as _,
        clock: Arc::clone(clock) as _,
        node: 1,
    }
}

impl Subject for Nodes {
    fn stores(&self) -> Stores {
        Stores {
            log: Arc::clone(&self.cluster) as _,
            history: Arc::clone(&self.cluster) as _,
            directory: Arc::clone(&self.cluster) as _,
            credentials: Arc::clone(&self.credentials) as _,
            leases: Arc::clone(&self.credentials) as _,
        }
    }

    fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.clock)
    }

    fn reopen(&mut self) {
        if matches!(self.archived, Archived::All) {
            // Nothing waits in memory.
            self.cluster.archive_all().now_or_never().expect("it is stored at once");
        }
        self.cluster = node(&self.clock, &self.live, &self.store);
    }

    /// The live log knows keys for longer in a room where nothing is said.
    fn forgets_keys_in_time(&self) -> bool {
        false
    }
}

impl Cluster {
    async fn archive_all(&self) {
        let rooms = self.node.live.unarchived(usize::MAX).await.expect("it is read");
        for room in rooms {
            self.archive_room(room).await;
        }
    }
}

const SUBJECTS: [Make<'static>; 2] = [&|| boxed(Archived::Nothing), &|| boxed(Archived::All)];

/// Rule 36.
#[tokio::test]
async fn a_cluster_keeps_the_contract_of_the_room_log() {
    // What is to outlive the node that answered for it has to be stored, or be in the live log.
    for make in SUBJECTS {
        contract::room_log(make).await;
    }
}

#[tokio::test]
async fn a_cluster_keeps_the_contract_of_history() {
    for make in SUBJECTS {
        contract::history(make).await;
    }
}

#[tokio::test]
async fn a_cluster_keeps_the_contract_of_the_directory() {
    // Heads lag by what is not stored, which is said of them.
    contract::directory(&|| boxed(Archived::All)).await;
}

/// A node over fresh servers, and those.
struct Bench {
    clock: Arc<ManualClock>,
    live: Arc<MemoryLiveLog>,
    store: Arc<MemoryEventStore>,
    cluster: Arc<Cluster>,
}

const ROOM: RoomId = match RoomId::new(7) {
    Ok(room) => room,
    Err(_) => unreachable!(),
};

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(BEGIN_MICROS));
        let live = MemoryLiveLog::new(Arc::clone(&clock) as _);
        let store = MemoryEventStore::new(Arc::clone(&clock) as _);
        let cluster = node(&clock, &live, &store);
        Self { clock, live, store, cluster }
    }

    async fn say(&self, key: &str, made_at: Option<i64>) -> Result<Vec<Outcome>, AppendError> {
        say_by(&self.cluster, key, made_at).await
    }

    fn row(&self) -> LogRow {
        self.store.row(ROOM).expect("the room is there")
    }
}

/// Somebody who knows everything says something.
async fn say_by(cluster: &Cluster, key: &str, made_at: Option<i64>) -> Result<Vec<Outcome>, AppendError> {
    let head = cluster.head(ROOM).await.expect("it is read").expect("the room is there");
    let body = Body::Message(wire::Message { text: key.to_owned() });
    let body_hash = body_hash(&body);
    let event = wire::Event {
        room: ROOM.get(),
        id: 9,
        author: 1,
        key: Some(key.to_owned()),
        body: Some(body),
        ..wire::Event::default()
    };
    let append = Append {
        room: ROOM,
        epoch: head.position.epoch,
        known_seq: head.position.seq,
        state_seq: head.state_seq,
        events: vec![NewEvent { event, body_hash, made_at }],
    };
    cluster.append(append).await
}

/// Rules 2 and 31.
#[tokio::test(start_paused = true)]
async fn a_room_whose_maker_died_is_made_by_the_next() {
    let bench = Bench::new();
    bench.store.raise(ROOM, None, Raiser(1)).await.expect("it answers");
    assert!(!bench.row().is_loaded(), "its maker died before it said where it begins");
    let head = bench.cluster.open(ROOM).await.expect("it opens");
    assert_eq!((head.position.epoch, head.position.seq), (Epoch(2), Sequence(0)));
    assert_eq!(bench.cluster.open(ROOM).await.expect("it opens"), head, "once");
    assert!(bench.say("hello", None).await.is_ok());
}

/// Rule 13: single flight.
#[tokio::test(start_paused = true)]
async fn many_that_find_a_log_cold_raise_it_once() {
    let bench = Bench::new();
    bench.cluster.open(ROOM).await.expect("it opens");
    bench.live.flush_all();
    let loads = (0..50).map(|_| bench.cluster.head(ROOM));
    assert!(futures_util::future::join_all(loads).await.into_iter().all(|head| head.is_ok_and(|head| head.is_some())));
    assert_eq!(bench.row().epoch, Epoch(2));
    assert_eq!(bench.cluster.metrics.raises.get(), 2, "the room's making, and one");
}

/// Rule 13.
#[tokio::test(start_paused = true)]
async fn nothing_is_opened_while_the_store_is_down() {
    let bench = Bench::new();
    bench.cluster.open(ROOM).await.expect("it opens");
    let head = bench.cluster.head(ROOM).await.expect("it is read");
    bench.live.flush_all();
    bench.store.set_reachable(false);
    assert!(bench.cluster.head(ROOM).await.is_err());
    assert!(bench.cluster.snapshot(ROOM).await.is_err());
    assert!(bench.live.head(ROOM).await.expect("it answers").is_none());
    bench.store.set_reachable(true);
    assert_eq!(bench.cluster.head(ROOM).await.expect("it is read").map(|head| head.position.epoch), Some(Epoch(2)));
    assert!(head.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_stops_only_what_has_to_ask_it() {
    let bench = Bench::new();
    bench.cluster.open(ROOM).await.expect("it opens");
    let later = Duration::from_secs(20 * 60);
    bench.clock.advance(later);
    bench.say("before", None).await.expect("the node knows the room");
    bench.store.set_reachable(false);
    let made_at = Some(crate::ports::Clock::now_micros(&*bench.clock));
    assert!(bench.say("new", made_at).await.is_ok(), "its key was made after the epoch began");
    assert!(
        matches!(bench.say("old", None).await, Err(AppendError::Full { .. })),
        "it may have been sent before: busy"
    );
}

#[tokio::test]
async fn a_closed_room_stays_closed_when_its_log_is_raised() {
    let bench = Bench::new();
    bench.cluster.open(ROOM).await.expect("it opens");
    bench.live.close(ROOM);
    bench.live.restart();
    let raised = bench.cluster.head(ROOM).await.expect("it is read");
    assert_eq!(raised.map(|head| head.position.epoch), Some(Epoch(2)));
    assert!(matches!(bench.say("hello", None).await, Err(AppendError::Closed)));
}

/// Rule 26. Found by torture: Redis was killed between the two readings, and a page ended with what was stored.
#[tokio::test(start_paused = true)]
async fn a_page_is_whole_though_the_live_log_is_lost_while_it_is_read() {
    let bench = Bench::new();
    bench.cluster.open(ROOM).await.expect("it opens");
    for key in ["a", "b"] {
        bench.say(key, None).await.expect("it is appended");
    }
    let all = vec![Sequence(1)..=Sequence(u64::MAX)];
    let keys = |events: Vec<wire::Event>| events.into_iter().filter_map(|event| event.key).collect::<Vec<_>>();
    bench.live.restart_before_next_tail();
    let page = bench.cluster.page(ROOM, Anchor::Newest, 10, &all).await.expect("it is read");
    assert_eq!(keys(page.messages), ["a", "b"]);
    bench.live.restart_before_next_tail();
    let page = bench.cluster.events(ROOM, Sequence::ZERO, 10, &all).await.expect("it is read");
    assert!(keys(page.events).ends_with(&["a".to_owned(), "b".to_owned()]));
}

/// Rule 9.
#[tokio::test(start_paused = true)]
async fn what_may_have_been_appended_stays_unknown_through_a_raise() {
    let bench = Bench::new();
    bench.cluster.open(ROOM).await.expect("it opens");
    bench.live.forget_in_next_append(drop);
    let answer = bench.say("hello", None).await;
    assert!(matches!(answer, Err(AppendError::Unknown(_))), "never busy, nor cold: {answer:?}");
    assert_eq!(bench.row().epoch, Epoch(2), "it was raised all the same");
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_node_appended_is_stored_by_another() {
    let bench = Bench::new();
    bench.cluster.open(ROOM).await.expect("it opens");
    for key in ["a", "b", "c"] {
        bench.say(key, None).await.expect("it is appended");
    }
    assert_eq!(bench.store.rows(ROOM).len(), 0, "its node dies before it stores anything");
    let other = node(&bench.clock, &bench.live, &bench.store);
    let tended = tokio::time::timeout(Duration::from_secs(30), other.tend()).await;
    assert!(tended.is_err(), "that goes on for ever");
    assert_eq!(bench.store.rows(ROOM).len(), 3);
    let live = bench.live.head(ROOM).await.expect("it answers").expect("it is open");
    assert_eq!(live.archived, Sequence(3));
    assert_eq!(other.metrics.archived.get(), 3);
}

/// Somebody else has the lease of the room for this long.
async fn claimed_by_another(bench: &Bench, lasts: Duration) {
    assert!(bench.live.claim(ROOM, 99, lasts).await.expect("it answers"), "the lease is free");
}

#[tokio::test(start_paused = true)]
async fn a_room_is_archived_by_who_has_its_lease_and_by_the_next_when_that_ends() {
    let bench = Bench::new();
    bench.cluster.open(ROOM).await.expect("it opens");
    claimed_by_another(&bench, Duration::from_secs(10)).await;
    bench.say("a", None).await.expect("it is appended");
    bench.cluster.archive_all().await;
    assert!(bench.store.rows(ROOM).is_empty(), "another node's");
    bench.clock.advance(Duration::from_secs(11));
    bench.cluster.archive_all().await;
    assert!(bench.store.rows(ROOM).is_empty(), "what it was told is gone by for a while");
    tokio::time::advance(Duration::from_secs(6)).await;
    bench.cluster.archive_all().await;
    assert_eq!(bench.store.rows(ROOM).len(), 1);
    assert!(!bench.live.claim(ROOM, 99, Duration::from_secs(10)).await.expect("it answers"), "now it is this node's");
}

#[tokio::test(start_paused = true)]
async fn what_another_node_appends_is_archived_by_who_has_the_lease_and_hears_of_it() {
    let bench = Bench::new();
    bench.cluster.open(ROOM).await.expect("it opens");
    let other = {
        let ports = ClusterPorts { node: 2, ..ports(&bench.clock, &bench.live, &bench.store) };
        Cluster::new(ports, ClusterOptions::default(), ClusterMetrics::register(&mut Registry::default()))
    };
    assert!(bench.cluster.archives(ROOM).await && !other.archives(ROOM).await);
    say_by(&other, "a", None).await.expect("it is appended");
    // Before the sweep would find it.
    let soon = Duration::from_secs(2);
    assert!(tokio::time::timeout(soon, futures_util::future::join(bench.cluster.tend(), other.tend())).await.is_err());
    assert!(bench.store.rows(ROOM).is_empty(), "who has the lease has heard nothing");
    bench.cluster.heard(ROOM);
    other.heard(ROOM);
    assert!(tokio::time::timeout(soon, bench.cluster.tend()).await.is_err());
    assert_eq!(bench.store.rows(ROOM).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_event_that_is_not_stored_says_how_far_the_archive_is_behind() {
    let bench = Bench::new();
    bench.cluster.open(ROOM).await.expect("it opens");
    assert_eq!(bench.cluster.archive_lag(), Duration::ZERO, "nothing waits");
    for key in ["a", "b"] {
        bench.say(key, None).await.expect("it is appended");
        bench.clock.advance(Duration::from_secs(20));
    }
    assert_eq!(bench.cluster.archive_lag(), Duration::from_secs(40), "the older one");
    bench.cluster.archive_all().await;
    assert_eq!(bench.cluster.archive_lag(), Duration::ZERO, "both are stored");
}

/// Rule 12.
#[tokio::test(start_paused = true)]
async fn a_node_that_waits_for_history_has_stored_what_it_acknowledges() {
    let bench = Bench::new();
    bench.cluster.open(ROOM).await.expect("it opens");
    let options = ClusterOptions { ack: Ack::History, salvage_for: Duration::ZERO, ..ClusterOptions::default() };
    let metrics = ClusterMetrics::register(&mut Registry::default());
    let careful = Cluster::new(ports(&bench.clock, &bench.live, &bench.store), options, metrics);
    say_by(&careful, "a", None).await.expect("it is appended");
    assert_eq!(bench.store.rows(ROOM).len(), 1);
    bench.clock.advance(Duration::from_secs(20 * 60));
    bench.store.set_reachable(false);
    let made_at = Some(crate::ports::Clock::now_micros(&*bench.clock));
    let answer = say_by(&careful, "b", made_at).await;
    assert!(matches!(answer, Err(AppendError::Unknown(_))), "it is in the live log, and not stored: {answer:?}");
}
