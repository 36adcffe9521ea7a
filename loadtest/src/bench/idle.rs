//! Memory of an idle connection: different signed-in users, each in a room, heartbeats on.

use std::path::Path;
use std::time::Duration;

use super::bars::Bar;
use super::child::{Bobchat, Installation};
use super::fanout::BYTES;
use super::judge::Line;
use super::{Bench, Options};
use crate::client::{Fleet, Shape, Target, prepare_places, sign_in_guests};
use crate::dialect::Dialect;
use crate::process::Process;

/// Members of a room: each connection pays for a tenth of a room, as in 100 rooms of 10.
const MEMBERS: usize = 10;

/// One in so many connects before memory is first read: the first connections touch code and tables for
/// all that follow, which is no cost of a connection.
const FIRST_PART: usize = 10;

/// How long the floor and the baseline get: they have nothing that grows with time.
const OTHERS_SECONDS: u64 = 6;

/// Measures the line.
///
/// # Errors
/// When a server fails.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    if !bench.wants(Bar::Idle) {
        return Ok(());
    }
    let Options { idle_connections: connections, idle_seconds: seconds, .. } = bench.options;
    let ours = ours(&bench.installation, connections, seconds).await?;
    let mut line = Line::judged(Bar::Idle, &[ours.kilobytes], 1, 1);
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    line.notes.push(format!(
        "{connections} users in rooms of {MEMBERS}; {:.1} MB before the first connection, {:.1} MB with {} of them",
        megabytes(ours.empty_bytes),
        megabytes(ours.warm_bytes),
        first_part(connections)
    ));
    line.floor = Some(other(bench, Dialect::Floor).await?);
    line.baseline = Some(other(bench, Dialect::Baseline).await?);
    bench.take(line);
    Ok(())
}

/// What connections of Bobchat take.
pub(super) struct Ours {
    /// Of each connection.
    pub(super) kilobytes: f64,
    /// All, before the first connection and after the first part of them.
    empty_bytes: u64,
    warm_bytes: u64,
}

/// Memory of one of so many connections of Bobchat that are idle for so long.
///
/// # Errors
/// When the server fails.
pub(super) async fn ours(installation: &Installation, connections: usize, seconds: u64) -> anyhow::Result<Ours> {
    of_started(|data| Ok(installation.start(data)?.0), connections, seconds).await
}

/// The same of a Bobchat that `start` starts.
///
/// # Errors
/// When the server fails.
pub(super) async fn of_started(
    start: impl Fn(&Path) -> anyhow::Result<Bobchat>,
    connections: usize,
    seconds: u64,
) -> anyhow::Result<Ours> {
    let data = tempfile::tempdir()?;
    let server = start(data.path())?;
    let users = sign_in_guests(&server.target(), connections)?;
    let mut places = prepare_places(&server.target(), &users, (connections / MEMBERS).max(1))?;
    server.stop()?;
    // Signing up left memory behind that the connections would take for nothing.
    let server = start(data.path())?;
    // Whole rooms come first and whole rooms after, so that each connection pays for its part of a room.
    places.sort_by_key(|place| place.room);
    let (first, others) = places.split_at(first_part(connections));
    let empty_bytes = server.process().resident_bytes()?;
    let first_fleet = Fleet::resume(&server.target(), first, BYTES).await?;
    let warm_bytes = server.process().resident_bytes()?;
    let fleet = Fleet::resume(&server.target(), others, BYTES).await?;
    let kilobytes = grown(server.process(), warm_bytes, fleet, seconds, others.len()).await?;
    must_be_kept(first_fleet)?;
    Ok(Ours { kilobytes, empty_bytes, warm_bytes })
}

/// The same of a server that needs no users, kilobytes of each connection.
///
/// # Errors
/// When the server fails.
pub(super) async fn others(target: &Target, process: Process, connections: usize, seconds: u64) -> anyhow::Result<f64> {
    let shape = |members: usize| Shape { rooms: members / MEMBERS, members: MEMBERS, receivers: MEMBERS, bytes: BYTES };
    let first = Fleet::enter(target, shape(first_part(connections)), &[]).await?;
    let before = process.resident_bytes()?;
    let rest = shape(connections - first_part(connections));
    let fleet = Fleet::enter(target, rest, &[]).await?;
    let kilobytes = grown(process, before, fleet, seconds, rest.rooms * rest.members).await?;
    must_be_kept(first)?;
    Ok(kilobytes)
}

/// Connections that come before memory is first read: whole rooms.
fn first_part(connections: usize) -> usize {
    (connections / FIRST_PART).next_multiple_of(MEMBERS).min(connections)
}

async fn other(bench: &Bench, dialect: Dialect) -> anyhow::Result<f64> {
    let connections = bench.options.idle_connections;
    let other = bench.installation.start_other(dialect, &[])?;
    let before = other.process().resident_bytes()?;
    let shape = Shape { rooms: (connections / MEMBERS).max(1), members: MEMBERS, receivers: MEMBERS, bytes: BYTES };
    let fleet = Fleet::enter(&other.target, shape, &[]).await?;
    grown(other.process(), before, fleet, OTHERS_SECONDS, connections).await
}

/// Kilobytes a connection.
async fn grown(process: Process, before: u64, fleet: Fleet, seconds: u64, connections: usize) -> anyhow::Result<f64> {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let bytes = process.resident_bytes()?.saturating_sub(before);
    must_be_kept(fleet)?;
    Ok(bytes as f64 / connections as f64 / 1e3)
}

fn must_be_kept(fleet: Fleet) -> anyhow::Result<()> {
    let violations = fleet.finish(false);
    anyhow::ensure!(violations.is_empty(), "a promise was broken: {:?}", violations.examples);
    Ok(())
}
