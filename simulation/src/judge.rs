//! The end of a run: when nothing is broken any more, everything has to come to rest, and every node has to show the
//! same.

use std::rc::Rc;
use std::time::Duration;

use bobchat_loadtest::torture::ShownLog;
use bobchat_proto::limits::PAGE_ITEMS_MAX;
use bobchat_proto::wire;
use tokio::time::{Instant, sleep};

use crate::http;
use crate::world::{Wish, World};

/// How long it may take until everything is at rest.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// Waits for the end of what goes wrong, then for rest, and judges the run.
pub async fn judge(world: Rc<World>) {
    while world.wish.get() != Wish::Settle {
        sleep(LOOK_EVERY).await;
    }
    let deadline = Instant::now() + PATIENCE;
    let logs = loop {
        match settled(&world).await {
            Ok(logs) => break Some(logs),
            Err(why) if Instant::now() >= deadline => {
                world.note("I9 liveness", format!("not at rest {PATIENCE:?} after all was well again: {why}"));
                break None;
            }
            Err(_) => sleep(LOOK_EVERY).await,
        }
    };
    if let Some(logs) = logs {
        world.witness.borrow_mut().finish(logs);
    }
    world.wish.set(Wish::End);
}

/// What every node shows of every room, once that is the same and everybody has it.
async fn settled(world: &World) -> Result<Vec<ShownLog>, String> {
    for (number, client) in world.standing.borrow().iter().enumerate() {
        if !client.is_there || client.pending > 0 {
            return Err(format!("client {number}: there {}, {} messages pending", client.is_there, client.pending));
        }
    }
    let token = world.token.borrow().clone().ok_or("nobody made a room")?;
    let rooms = world.rooms.borrow().clone();
    let mut logs = Vec::new();
    for room in rooms {
        let mut first: Option<Vec<wire::Event>> = None;
        for node in 0..world.schedule.site.nodes() {
            let log = read(node, &token, room).await.map_err(|error| format!("{error:#}"))?;
            let events = first.get_or_insert_with(|| log.events.clone());
            let end = |events: &[wire::Event]| events.last().map(wire::Event::position);
            if end(events) != end(&log.events) {
                return Err(format!(
                    "room {room}: node {node} ends at {:?}, node 0 at {:?}",
                    end(&log.events),
                    end(events)
                ));
            }
            logs.push(log);
        }
        let seq = first.and_then(|events| events.last().map(|event| event.seq)).unwrap_or_default();
        for (number, client) in world.standing.borrow().iter().enumerate() {
            // A client may not have heard of a new epoch in which nothing happened yet.
            let there = client.cursors.get(&room).map_or(0, |cursor| cursor.seq.0);
            if there != seq {
                return Err(format!("room {room}: client {number} is at {there}, nodes at {seq}"));
            }
        }
    }
    Ok(logs)
}

/// All of a room as a node shows it: its events forwards, its messages backwards.
async fn read(node: usize, token: &str, room: u64) -> anyhow::Result<ShownLog> {
    let mut events: Vec<wire::Event> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.seq);
        let path = format!("/rooms/{room}/events?after={after}&limit={PAGE_ITEMS_MAX}");
        let page: wire::RoomEventsOk = http::ask(node, "GET", &path, Some(token), None).await?;
        let is_last = !page.has_more || page.events.is_empty();
        events.extend(page.events);
        if is_last {
            break;
        }
    }
    let mut messages: Vec<wire::Event> = Vec::new();
    loop {
        let before = messages.first().map_or(String::new(), |event| format!("&before={}", event.seq));
        let path = format!("/rooms/{room}/messages?limit={PAGE_ITEMS_MAX}{before}");
        let mut page: wire::MessageHistoryOk = http::ask(node, "GET", &path, Some(token), None).await?;
        let is_last = !page.has_more_before || page.messages.is_empty();
        page.messages.append(&mut messages);
        messages = page.messages;
        if is_last {
            break;
        }
    }
    Ok(ShownLog { room, node, events, messages })
}
