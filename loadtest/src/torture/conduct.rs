//! A run: servers as processes, clients, faults, and the verdict.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::cli::{Order, Store};
use super::history::meta::{End, FORMAT, Meta};
use super::judge::{Judgement, judge};
use super::nemesis::Nemesis;
use super::nemesis::fault::Fault;
use super::nemesis::schedule::{Planned, Wanted, schedule};
use super::plan::{Client, Plan};
use super::run::Torture;
use super::site::{self, Site, WantedCluster};
use crate::say::say;

/// How long a client waits for an answer before it goes elsewhere: less than the longest a node stands still.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long all may take to agree once everything is whole.
const AGREED_WITHIN: Duration = Duration::from_secs(10);

/// What a machine that does other things may add to that; the time itself is told.
const BUSY: Duration = Duration::from_secs(20);

/// One client in so many goes in and out of the last room.
const DOOR_ONCE_IN: usize = 4;

/// One client in so many moves from node to node, or comes back to the only one.
const ROAMS_ONCE_IN: usize = 3;

/// One client in so many says and reads everything over REST; some of them move from node to node.
const REST_ONCE_IN: usize = 5;

/// For so many clients there is one more who means harm.
const ABUSER_FOR_CLIENTS: usize = 50;

/// How long it may take until messages are acknowledged again, in seconds.
const RECOVERY_EMBEDDED: f64 = 2.0;
const RECOVERY_CLUSTER: f64 = 10.0;

/// The faults of a run, in the order in which they are planned.
pub(super) fn planned(order: &Order) -> anyhow::Result<Vec<Planned>> {
    let faults = order.faults()?;
    let (lasts, every) = (Duration::from_secs_f64(order.secs), Duration::from_secs_f64(order.every()));
    Ok(schedule(&Wanted { seed: order.seed, lasts, every, faults: &faults, nodes: order.nodes }))
}

/// Runs what is ordered, and judges what was written down of it.
///
/// # Errors
/// When it cannot be run: a server is missing, or does not start; not when a promise was broken.
pub fn conduct(order: &Order) -> anyhow::Result<Judgement> {
    order.check()?;
    let planned = planned(order)?;
    let none_asked = order.faults()?.is_empty();
    ensure!(none_asked || !planned.is_empty(), "no fault fits into --secs {}: give it more", order.secs);
    let history = order.out.join("history");
    std::fs::create_dir_all(&order.out).with_context(|| format!("could not make {}", order.out.display()))?;
    let servers = tempfile::Builder::new().prefix("servers-").tempdir_in(&order.out)?;
    let mut site = Site::start(&wanted(order, servers.path()))?;
    let version = site.node(0)?.alive()?;
    order.tell(&format!("seed {}: {} faults in {:.0} s; {version}", order.seed, planned.len(), order.secs));
    let plan = Plan {
        nodes: site.addresses(),
        rooms: order.rooms,
        clients: clients(order),
        abusers: abusers(order),
        rate: order.rate,
        patience: PATIENCE,
        seed: order.seed,
        history: Some(history.clone()),
    };
    let mut torture = Torture::start(plan)?;
    let mut meta = meta(order, version, &planned);
    torture.describe(&meta)?;
    let began = Instant::now();
    Nemesis { site: &mut site, torture: &torture, order, began }.rage(&planned, Duration::from_secs_f64(order.secs))?;
    meta.end = Some(end(order, &mut torture, &mut site)?);
    torture.describe(&meta)?;
    torture.close()?;
    drop(site);
    let judgement = judge(&history)?;
    if order.keep || !judgement.is_proof() {
        order.tell(&format!("the servers' logs and data: {}", servers.keep().display()));
    }
    Ok(judgement)
}

/// Quiet, all drained, all nodes restarted, all drained again.
fn end(order: &Order, torture: &mut Torture, site: &mut Site) -> anyhow::Result<End> {
    order.tell("  everything is whole; waiting until all agree");
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    let (settled, mut unsettled) = settle(torture);
    torture.drain_what_there_is(|line| order.tell(line));
    order.tell("  restarting all nodes");
    site.nodes.iter_mut().try_for_each(site::node::Node::restart)?;
    let mut settled_again_ms = None;
    // What did not come to rest before need not be waited for again.
    if unsettled.is_none() {
        let (again, why) = settle(torture);
        (settled_again_ms, unsettled) = (Some(ms(again)), why);
    }
    torture.drain_what_there_is(|line| order.tell(line));
    Ok(End { settled_ms: ms(settled), settled_again_ms, unsettled })
}

/// Waits until all agree; says how long it took, and why it took too long.
fn settle(torture: &mut Torture) -> (Duration, Option<String>) {
    let begin = Instant::now();
    let outcome = torture.settle(AGREED_WITHIN + BUSY);
    let took = begin.elapsed();
    match outcome {
        Ok(_) if took > AGREED_WITHIN => (took, Some(format!("all agreed {:.1} s after the end", took.as_secs_f64()))),
        Ok(_) => (took, None),
        Err(error) => (took, Some(format!("{error:#}"))),
    }
}

fn wanted(order: &Order, folder: &std::path::Path) -> site::Wanted {
    let faults = order.faults().unwrap_or_default();
    site::Wanted {
        seed: order.seed,
        bobchat: order.bobchat.clone(),
        folder: folder.to_owned(),
        plant: order.plant.clone(),
        own_clocks: faults.contains(&Fault::Clock),
        small_disk: faults
            .contains(&Fault::DiskFull)
            .then_some((order.secs * order.rate) as u64 * order.clients as u64),
        cluster: (order.store == Store::Cluster).then(|| WantedCluster {
            nodes: order.nodes,
            redis: order.redis_server.clone(),
            cassandra: order.cassandra.clone(),
            kills_cassandra: faults.contains(&Fault::CassandraKill),
            ack: order.ack.clone(),
        }),
    }
}

fn meta(order: &Order, version: String, planned: &[Planned]) -> Meta {
    Meta {
        format: FORMAT,
        seed: order.seed,
        version,
        plant: order.plant.clone(),
        store: order.store.name().to_owned(),
        nodes: order.nodes,
        clients: order.clients,
        abusers: abusers(order),
        rooms: order.rooms,
        seconds: order.secs,
        ack: order.ack.clone(),
        schedule: planned.iter().map(Planned::line).collect(),
        acks_min: order.acks_min,
        recovery_max_ms: 1e3
            * order.recovery.unwrap_or(if order.store == Store::Cluster {
                RECOVERY_CLUSTER
            } else {
                RECOVERY_EMBEDDED
            }),
        end: None,
    }
}

/// 2 % of the clients, and one at least.
const fn abusers(order: &Order) -> usize {
    order.clients.div_ceil(ABUSER_FOR_CLIENTS)
}

/// Each client in two rooms. The last room has a door that some of its people use again and again.
fn clients(order: &Order) -> Vec<Client> {
    let door = order.rooms - 1;
    let client = |number: usize| {
        let mut rooms = vec![number % order.rooms, (number * 3 + 1) % order.rooms];
        let uses_door = number % DOOR_ONCE_IN == 1;
        if uses_door {
            rooms.push(door);
        }
        rooms.sort_unstable();
        rooms.dedup();
        let client = match number % ROAMS_ONCE_IN {
            0 => Client::roaming(),
            _ => Client::of(number % order.nodes),
        };
        let client = client.in_rooms(&rooms);
        let client = if uses_door { client.in_and_out_of(&[door]) } else { client };
        if number % REST_ONCE_IN == REST_ONCE_IN - 1 { client.over_rest() } else { client }
    };
    (0..order.clients).map(client).collect()
}

impl Order {
    /// Says how it goes.
    pub(super) fn tell(&self, what: &str) {
        if !self.quiet {
            say(what);
        }
    }

    /// Holds the order to what can be done.
    ///
    /// # Errors
    /// What cannot.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(self.rooms > 0 && self.clients > 0 && self.rate > 0.0, "--rooms, --clients and --rate are above 0");
        ensure!(
            self.store == Store::Cluster || self.nodes == 1,
            "--nodes {}: a node with its own store is alone; several share --store cluster",
            self.nodes
        );
        ensure!((1..=3).contains(&self.nodes), "--nodes is 1 to 3");
        let faults = self.faults()?;
        if faults.contains(&Fault::DiskFull) {
            ensure!(
                rustix::process::geteuid().is_root(),
                "disk-full mounts a small disk, which takes root: leave it out of --faults, or run as root"
            );
        }
        if faults.contains(&Fault::Clock) {
            site::clock::library()?;
        }
        let foreign = faults.iter().find(|fault| self.cassandra.is_some() && fault.is_of_cassandra());
        if let Some(fault) = foreign {
            let fault = fault.name();
            bail!("{fault} is for a Cassandra of the run's own: leave --cassandra out, or the fault");
        }
        if let Some(fault) = faults.iter().find(|fault| fault.needs_others() && self.nodes == 1) {
            bail!("{} is between nodes: give it --nodes 2 or 3", fault.name());
        }
        Ok(())
    }
}
