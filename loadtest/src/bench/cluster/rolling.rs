//! What people notice while nodes are restarted one after the other, as an upgrade does.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};

use super::super::child::Bobchat;
use super::super::fanout::BYTES;
use super::super::judge::Line;
use super::rows::Row;
use super::site::Site;
use super::{Bench, must_be_kept};
use crate::client::{Fleet, Shape, sign_in_guests};
use crate::load::Schedule;

const NODES: usize = 3;
const ROOMS: usize = 100;
const MEMBERS: usize = 20;

/// Messages a second of all of them.
const RATE: f64 = 200.0;

/// Before the first restart, and behind each: whoever rolls out a version looks whether it goes well.
const BETWEEN: Duration = Duration::from_secs(5);

/// The load ends when all were restarted; it would end by itself only if that took longer.
const LOAD_SECONDS_MAX: f64 = 300.0;

/// All people of the row have one address, which people have not: else those who come back at once would wait for each other.
const SETTINGS: [(&str, &str); 1] = [("LIMITS__CONNECTIONS_PER_ADDRESS_BEFORE_AUTH", "10000")];

/// Measures the row.
///
/// # Errors
/// When a server fails, or a promise was broken.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    let mut site = Site::start(bench, NODES, &SETTINGS)?;
    let users = sign_in_guests(&site.node(0)?.target(), ROOMS * MEMBERS)?;
    let targets: Vec<_> = site.nodes.iter().map(Bobchat::target).collect();
    let shape = Shape { rooms: ROOMS, members: MEMBERS, receivers: MEMBERS, bytes: BYTES };
    let fleet = Fleet::enter_at(&targets, shape, &users).await?;
    fleet.shared.comes_back.set(true);
    fleet.shared.checker.borrow_mut().begin();
    let schedule = Schedule { rate: RATE, burst: 1, together: 1, seconds: LOAD_SECONDS_MAX };
    let took = tokio::select! {
        talked = schedule.run(&fleet) => {
            talked?;
            bail!("the nodes were not all restarted within {LOAD_SECONDS_MAX} s");
        }
        took = roll(bench, &mut site) => took?,
    };
    fleet.settle(true).await;
    let line = {
        let checker = fleet.shared.checker.borrow();
        let counts = checker.counts();
        ensure!(counts.connects >= users.len() as u64, "only {} of {} came back", counts.connects, users.len());
        let seconds = |quantile| counts.connect_latency.value_at_quantile(quantile) as f64 / 1e6;
        let mut line = Line::judged(Row::Rolling, &[seconds(0.99)], 1, 1);
        line.notes.push(format!(
            "{NODES} nodes, {} people in {ROOMS} rooms, {RATE} messages a second: {} times somebody came back, half of them \
             within {:.2} s, all within {:.2} s; {} tries that were put off, {} messages sent again; {} sent, all delivered",
            users.len(),
            counts.connects,
            seconds(0.5),
            seconds(1.0),
            counts.put_off,
            counts.resent,
            counts.sent,
        ));
        let took: Vec<String> = took.iter().map(|took| format!("{:.1}", took.as_secs_f64())).collect();
        line.notes.push(format!("until each node was ready again: {} s", took.join(", ")));
        line
    };
    must_be_kept(fleet.finish(true))?;
    bench.take(line);
    Ok(())
}

/// Restarts one node after the other; says how long each was away.
async fn roll(bench: &Bench, site: &mut Site) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::new();
    for node in &mut site.nodes {
        tokio::time::sleep(BETWEEN).await;
        let began = Instant::now();
        bench.installation.restart(node).await?;
        took.push(began.elapsed());
    }
    tokio::time::sleep(BETWEEN).await;
    Ok(took)
}
