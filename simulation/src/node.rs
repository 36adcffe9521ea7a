//! A node: the whole server, from the stream that was accepted to the log.

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_service::{Service as _, ServiceFactory as _};
use anyhow::anyhow;
use bobchat::adapters::embedded::EmbeddedStore;
use bobchat::auth::{self, ExternalIssuers};
use bobchat::telemetry::metrics::HttpMetrics;
use bobchat::web::public::Public;
use bobchat_actors::bucket::Rate;
use bobchat_actors::cluster::{Cluster, ClusterMetrics, ClusterOptions, ClusterPorts};
use bobchat_actors::ids::{IdGenerator, IdMetrics};
use bobchat_actors::metrics::Metrics;
use bobchat_actors::nodes::NodePort;
use bobchat_actors::ports::memory::{MemoryBackplane, ToldLog};
use bobchat_actors::ports::{
    Alone, Backplane, Clock, Credentials, Directory, History, Listener, LiveBounds, LiveLog, RoomLog, Told,
    WorkerLeases,
};
use bobchat_actors::{Core, CoreOptions, CorePorts};
use prometheus_client::registry::Registry;
use tokio::time::sleep;
use turmoil::net::TcpListener;

use crate::distant::Distant;
use crate::socket::SimulatedStream;
use crate::world::World;

/// Where every node listens.
pub const PORT: u16 = 8080;

/// How soon a node that could not start tries again.
const START_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// How often a node compares its rooms with the live log: as Redis' reconciler does.
const BEAT: Duration = Duration::from_secs(2);

/// How long a node waits before what waits is stored: short, so that a run sees many rounds.
const ARCHIVE_AFTER: Duration = Duration::from_millis(100);

/// How long a new epoch takes only what is put back.
const SALVAGE_FOR: Duration = Duration::from_millis(400);

/// What a room's live log takes before it is full: less than clients say while the store is away, so that runs see it.
const BOUNDS: LiveBounds = LiveBounds { events: 14, bytes: 1 << 20 };

/// Rates are not what simulations are about.
const ANY_RATE: Rate = Rate { per_second: 100_000.0, burst: 100_000.0 };

/// What is kept where.
struct Stores {
    log: Arc<dyn RoomLog>,
    history: Arc<dyn History>,
    directory: Arc<dyn Directory>,
    credentials: Arc<dyn Credentials>,
    leases: Arc<dyn WorkerLeases>,
    backplane: Arc<dyn Backplane>,
    shared: Option<(Arc<Cluster>, Arc<MemoryBackplane>)>,
}

/// The name of a node on the simulated network.
#[must_use]
pub fn name(number: usize) -> String {
    format!("node-{number}")
}

/// Runs a node until its host crashes.
///
/// # Errors
/// The simulated network's.
pub async fn run(world: Rc<World>, number: usize) -> turmoil::Result {
    let public = loop {
        match start(&world, number).await {
            Ok(public) => break public,
            Err(error) => world.story.tell(|| format!("node {number} could not start: {error:#}")),
        }
        sleep(START_AGAIN_AFTER).await;
    };
    let factory = public.service::<SimulatedStream>();
    let service = factory.new_service(()).await.map_err(|()| "the service could not be made")?;
    let service = Rc::new(service);
    let listener = TcpListener::bind((IpAddr::from(Ipv4Addr::UNSPECIFIED), PORT)).await?;
    loop {
        let (stream, peer) = listener.accept().await?;
        let service = service.clone();
        actix_rt::spawn(async move {
            // What is wrong with one connection is its client's to see.
            let _ = service.call((SimulatedStream(stream), Some(peer))).await;
        });
    }
}

async fn start(world: &Rc<World>, number: usize) -> anyhow::Result<Public> {
    let clock: Arc<dyn Clock> = world.clock.clone();
    let stores = if world.is_cluster() { in_cluster(world, number) } else { alone(world)? };
    let ids = Arc::new(IdGenerator::open(clock.clone(), stores.leases.clone(), IdMetrics::default()).await?);
    let numbers = ids.clone();
    let parts = auth::Parts {
        credentials: stores.credentials.clone(),
        directory: stores.directory.clone(),
        clock: clock.clone(),
        identifiers: Arc::new(move || numbers.next()),
    };
    let external = ExternalIssuers::load(&[]).map_err(|_| anyhow!("no issuers are no fault"))?;
    let auth = Arc::new(auth::Service::open(world.config.auth.clone(), external, parts).await?);
    let ports = CorePorts {
        log: stores.log,
        history: stores.history,
        directory: stores.directory,
        authenticator: auth.clone(),
        backplane: stores.backplane,
        clock,
        ids,
        nodes: NodePort::alone("simulated", name(number)),
    };
    let options = CoreOptions {
        send_rate: ANY_RATE,
        frame_rate: ANY_RATE,
        page_rate: ANY_RATE,
        connections_per_user: 1_000,
        ..CoreOptions::default()
    };
    let metrics = Metrics::register(&mut Registry::default());
    world.holes_filled.borrow_mut().push(metrics.holes_filled.clone());
    let core = Core::new(ports, options, metrics);
    if let Some((cluster, backplane)) = stores.shared {
        tend(world, number, &core, cluster, backplane);
    }
    let tended = core.clone();
    actix_rt::spawn(async move { tended.tend().await });
    Ok(Public::new(&world.config, core, auth, HttpMetrics::register(&mut Registry::default())))
}

fn alone(world: &World) -> anyhow::Result<Stores> {
    let store = EmbeddedStore::simulated(&world.disk, world.clock.clone())?;
    Ok(Stores {
        log: store.clone(),
        history: store.clone(),
        directory: store.clone(),
        credentials: store.clone(),
        leases: store,
        backplane: Arc::new(Alone),
        shared: None,
    })
}

fn in_cluster(world: &World, number: usize) -> Stores {
    let link = world.links.get(number).cloned();
    let link = link.unwrap_or_else(|| crate::distant::Link::new(crate::random::Random::new(0, 0)));
    let store = Arc::new(Distant { port: world.store.clone(), link: link.clone() });
    let ports = ClusterPorts {
        live: Arc::new(Distant { port: world.live.clone(), link }),
        store: store.clone(),
        history: store.clone(),
        directory: store,
        clock: world.clock.clone(),
        node: number as u64 + 1,
    };
    let options = ClusterOptions {
        bounds: BOUNDS,
        salvage_for: SALVAGE_FOR,
        archive_after: ARCHIVE_AFTER,
        ..ClusterOptions::default()
    };
    let metrics = ClusterMetrics::register(&mut Registry::default());
    world.full.borrow_mut().push(metrics.full.clone());
    let cluster = Cluster::new(ports, options, metrics);
    let backplane = world.network.join();
    Stores {
        log: Arc::new(ToldLog::new(cluster.clone(), backplane.clone())),
        history: cluster.clone(),
        directory: cluster.clone(),
        credentials: world.credentials.clone(),
        leases: world.credentials.clone(),
        backplane: backplane.clone(),
        shared: Some((cluster, backplane)),
    }
}

/// Starts what goes on for as long as a node of a cluster runs.
fn tend(world: &Rc<World>, number: usize, core: &Arc<Core>, cluster: Arc<Cluster>, backplane: Arc<MemoryBackplane>) {
    let listener: Arc<dyn Listener> = core.clone();
    backplane.listen(Arc::downgrade(&listener));
    if let Some(place) = world.clusters.borrow_mut().get_mut(number) {
        *place = Some(cluster.clone());
    }
    let catching_up = core.clone();
    actix_rt::spawn(async move { catching_up.catch_up().await });
    actix_rt::spawn(async move { cluster.tend().await });
    let world = world.clone();
    actix_rt::spawn(async move {
        loop {
            sleep(BEAT).await;
            beat(&world, number, &backplane).await;
        }
    });
}

/// Tells each room where its log stands, as far as this node can see.
async fn beat(world: &World, number: usize, backplane: &MemoryBackplane) {
    let Some(link) = world.links.get(number) else { return };
    let live = Distant { port: world.live.clone(), link: link.clone() };
    for room in world.room_ids() {
        if let Ok(Some(head)) = live.head(room).await {
            backplane.hear(room, Told::Head(Some(head.head.position)));
        }
    }
}
