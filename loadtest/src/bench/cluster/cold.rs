//! Until all rooms answer again after Redis lost everything.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bobchat_proto::wire::{self, client_frame::Request, ok};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::super::fanout::BYTES;
use super::super::judge::Line;
use super::rows::Row;
use super::site::Site;
use super::{Bench, must_be_kept};
use crate::client::{Fleet, Member, Shape, sign_in_guests};
use crate::say::say;

/// Connections that the rooms are spread over.
const CONNECTIONS: usize = 20;

/// Rooms of a connection that are made at a time.
const MADE_AT_ONCE: usize = 8;

/// Requests of a connection at a time: each of these stands for hundreds of clients.
const REQUESTS_IN_FLIGHT: &str = "10000";

/// Who is told to come back without being told when does so then.
const RETRY: Duration = Duration::from_millis(250);

/// Rounds: what was written in one is what the next one loses.
const ROUNDS: usize = 2;

/// A room that does not answer by then never does.
const PATIENCE: Duration = Duration::from_secs(300);

/// A room and who says something in it.
struct Used {
    id: u64,
    member: Rc<Member>,
}

/// Measures the row.
///
/// # Errors
/// When a server fails, or a room does not answer any more.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    let site = Site::start(bench, 1, &[("LIMITS__REQUESTS_IN_FLIGHT", REQUESTS_IN_FLIGHT)])?;
    let node = site.node(0)?;
    let users = sign_in_guests(&node.target(), CONNECTIONS)?;
    let shape = Shape { rooms: CONNECTIONS, members: 1, receivers: 0, bytes: BYTES };
    let fleet = Fleet::enter(&node.target(), shape, &users).await?;
    let began = Instant::now();
    let rooms = make(&fleet, bench.options.cold_rooms).await?;
    say(&format!("made {} rooms in {:.1} s", rooms.len(), began.elapsed().as_secs_f64()));
    let warm = all_answer(&rooms, "warm").await?;
    site.wait_until_archived(0.0).await?;
    let (mut seconds, mut notes) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let raises = || node.metrics()?.sum("bobchat_log_raises_total");
        let before = raises()?;
        site.redis.connect()?.call(&[b"FLUSHALL"])?;
        let answered = all_answer(&rooms, &format!("cold-{round}")).await?;
        let raised = raises()? - before;
        // Else Redis lost nothing, and nothing was measured.
        ensure!(raised >= rooms.len() as f64, "only {raised} logs of {} were opened anew", rooms.len());
        notes.push(format!(
            "round {}: {:.1} s, half of them after {:.1} s; {} times told to come back later",
            round + 1,
            answered.all.as_secs_f64(),
            answered.half.as_secs_f64(),
            answered.busy
        ));
        seconds.push(answered.all.as_secs_f64());
    }
    must_be_kept(fleet.finish(true))?;
    let slower = seconds.iter().copied().fold(0.0, f64::max);
    let mut line = Line::judged(Row::Cold, &[slower], 1, ROUNDS);
    line.notes = notes;
    line.notes.push(format!(
        "{} rooms, a message to each at once; with warm logs that takes {:.1} s",
        rooms.len(),
        warm.all.as_secs_f64()
    ));
    bench.take(line);
    Ok(())
}

async fn make(fleet: &Fleet, count: usize) -> anyhow::Result<Vec<Used>> {
    let members: Vec<_> = fleet.members().cloned().collect();
    let making = (0..count).map(|number| {
        let member = members.get(number % members.len().max(1)).cloned();
        async move {
            let member = member.context("there are members")?;
            let create = wire::RoomCreate {
                name: format!("cold {number}"),
                key: format!("cold-{number}"),
                ..Default::default()
            };
            let ok::Result::RoomCreate(made) = member.request(Request::RoomCreate(create)).await? else {
                bail!("room_create was answered with something else");
            };
            Ok(Used { id: made.room.context("the server made no room")?.id, member })
        }
    });
    stream::iter(making).buffer_unordered(MADE_AT_ONCE * CONNECTIONS).try_collect().await
}

/// How it went until all rooms had answered.
struct Answered {
    all: Duration,
    half: Duration,
    busy: u64,
}

/// Says something in each room, all at once, and waits until it was taken everywhere.
async fn all_answer(rooms: &[Used], what: &str) -> anyhow::Result<Answered> {
    let (began, busy) = (Instant::now(), Cell::new(0));
    let saying = rooms.iter().map(|room| say_in(room, what, &busy));
    let mut answers = stream::iter(saying).buffer_unordered(rooms.len().max(1)).enumerate();
    let mut half = Duration::ZERO;
    while let Some((number, answer)) = answers.next().await {
        answer?;
        if number == rooms.len() / 2 {
            half = began.elapsed();
        }
    }
    Ok(Answered { all: began.elapsed(), half, busy: busy.get() })
}

/// As a client does: under the same key until it is taken.
async fn say_in(room: &Used, what: &str, busy: &Cell<u64>) -> anyhow::Result<()> {
    let (key, begin) = (format!("{what}-{}", room.id), Instant::now());
    let mut made_at = Some(crate::time::wall_micros());
    loop {
        let (key, text) = (key.clone(), "is anybody there?".to_owned());
        let send = wire::MessageSend { room: room.id, key, text, made_at: made_at.take() };
        let Err(error) = room.member.ask(Request::MessageSend(send)).await? else { return Ok(()) };
        ensure!(error.temporary, "a room refused a message: {}: {}", error.code, error.message);
        ensure!(begin.elapsed() < PATIENCE, "a room does not answer any more: {}: {}", error.code, error.message);
        busy.set(busy.get() + 1);
        tokio::time::sleep(error.retry_after_ms.map_or(RETRY, Duration::from_millis)).await;
    }
}
