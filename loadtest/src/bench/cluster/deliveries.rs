//! CPU per delivery: of a room that another node feeds, and of one that is split over two nodes.

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::super::fanout::BYTES;
use super::super::judge::{Repetition, Repetitions};
use super::rows::Row;
use super::site::{Site, wait_until_logs_are_old};
use super::{Bench, must_be_kept};
use crate::client::{Fleet, Member, Shape, sign_in_guests};
use crate::load::Schedule;
use crate::process::{Process, Usage};

/// Messages a second to the large room: below what two cores can do with everything on them, for
/// whoever runs late coalesces and then looks cheaper than it is.
const A_SECOND: f64 = 25.0;

/// Who receives what another node feeds. Fewer than in the other row: hearing costs by the message, and a thousand
/// deliveries of each would hide it.
const RECEIVERS: usize = 100;

/// Until what was said is stored, so that this falls to the messages that it is for.
const STORED: Duration = Duration::from_millis(700);

/// Measures the row of a room that another node feeds: its members are at the second node, who says something either at
/// the first or at the second.
///
/// # Errors
/// When a server fails.
pub(super) async fn heard(bench: &mut Bench) -> anyhow::Result<()> {
    let site = Site::start(bench, 2, &[])?;
    let (far, near) = (site.node(0)?, site.node(1)?);
    let members = RECEIVERS + 2;
    let users = sign_in_guests(&near.target(), members)?;
    let mut places = vec![near.target(); members];
    let last = places.last_mut().context("there are members")?;
    *last = far.target();
    let shape = Shape { rooms: 1, members, receivers: RECEIVERS, bytes: BYTES };
    let mut fleet = Fleet::enter_at(&places, shape, &users).await?;
    wait_until_logs_are_old(Instant::now()).await;
    let room = fleet.rooms.first().context("there is a room")?;
    let [.., own, other] = room.members.as_slice() else { anyhow::bail!("the room has too few members") };
    let (own, other) = (Rc::clone(own), Rc::clone(other));
    // As many deliveries a second as in the other row.
    let rate = A_SECOND * bench.options.members as f64 / RECEIVERS as f64;
    let schedule = Schedule { rate, burst: 1, together: 1, seconds: bench.options.seconds };
    let processes = [near.process()];
    for sender in [&own, &other] {
        said_by(&mut fleet, sender);
        us_per_delivery(&fleet, schedule, &processes).await?;
    }
    let mut repetitions = Repetitions::default();
    while !repetitions.are_done(bench.options.effort()) {
        said_by(&mut fleet, &own);
        let floor_before = us_per_delivery(&fleet, schedule, &processes).await?;
        said_by(&mut fleet, &other);
        let ours = us_per_delivery(&fleet, schedule, &processes).await?;
        said_by(&mut fleet, &own);
        let floor_after = us_per_delivery(&fleet, schedule, &processes).await?;
        repetitions.add(Repetition { floor_before, ours, floor_after });
    }
    must_be_kept(fleet.finish(true))?;
    let heard = near.metrics()?.sum("bobchat_events_heard_total")?;
    let mut line = repetitions.line(Row::Heard, bench.options.effort(), "us");
    line.notes.push(format!(
        "{RECEIVERS} members at one node, {rate:.0} messages a second said there or at another; {heard:.0} heard"
    ));
    bench.take(line);
    Ok(())
}

/// Measures the row of a room whose members are at two nodes.
///
/// # Errors
/// When a server fails.
pub(super) async fn split(bench: &mut Bench) -> anyhow::Result<()> {
    let site = Site::start(bench, 2, &[])?;
    let (first, second) = (site.node(0)?, site.node(1)?);
    let members = bench.options.members;
    let users = sign_in_guests(&first.target(), 2 * members)?;
    let (users_together, users_apart) = users.split_at(members);
    let shape = Shape { rooms: 1, members, receivers: members, bytes: BYTES };
    let together = Fleet::enter(&first.target(), shape, users_together).await?;
    let apart = Fleet::enter_at(&[first.target(), second.target()], shape, users_apart).await?;
    wait_until_logs_are_old(Instant::now()).await;
    let schedule = Schedule { rate: A_SECOND, burst: 1, together: 1, seconds: bench.options.seconds };
    let (one, both) = ([first.process()], [first.process(), second.process()]);
    us_per_delivery(&together, schedule, &one).await?;
    us_per_delivery(&apart, schedule, &both).await?;
    let mut repetitions = Repetitions::default();
    while !repetitions.are_done(bench.options.effort()) {
        let floor_before = us_per_delivery(&together, schedule, &one).await?;
        let ours = us_per_delivery(&apart, schedule, &both).await?;
        let floor_after = us_per_delivery(&together, schedule, &one).await?;
        repetitions.add(Repetition { floor_before, ours, floor_after });
    }
    must_be_kept(together.finish(true))?;
    must_be_kept(apart.finish(true))?;
    let mut line = repetitions.line(Row::Split, bench.options.effort(), "us");
    line.notes.push(format!("{members} members, all of whom say something in turns, {A_SECOND:.0} messages a second"));
    bench.take(line);
    Ok(())
}

/// From here on one member of the only room posts.
fn said_by(fleet: &mut Fleet, sender: &Rc<Member>) {
    for room in &mut fleet.rooms {
        room.senders = vec![Rc::clone(sender)];
    }
}

/// Microseconds of these processes for each delivery, storing included.
async fn us_per_delivery(fleet: &Fleet, schedule: Schedule, processes: &[Process]) -> anyhow::Result<f64> {
    let usage = || processes.iter().map(|process| process.usage()).collect::<anyhow::Result<Vec<Usage>>>();
    fleet.shared.checker.borrow_mut().begin();
    let before = usage()?;
    schedule.run(fleet).await?;
    fleet.settle(true).await;
    tokio::time::sleep(STORED).await;
    let seconds: f64 = usage()?.iter().zip(&before).map(|(after, before)| after.seconds_since(before)).sum();
    let delivered = fleet.shared.checker.borrow().counts().delivered;
    Ok(seconds * 1e6 / delivered.max(1) as f64)
}
