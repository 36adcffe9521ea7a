//! A second process: this test executable again, running one test that does nothing by itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use bobchat::adapters::embedded::EmbeddedStore;
use bobchat_actors::ports::contract::BEGIN_MICROS;
use bobchat_actors::ports::memory::ManualClock;
use bobchat_actors::ports::{Append, Outcome, RoomLog};
use futures_util::future::join_all;
use prometheus_client::registry::Registry;

use crate::support::{create_room, message, options, room};

const FOLDER: &str = "BOBCHAT_TEST_FOLDER";
const ROUND: &str = "BOBCHAT_TEST_ROUND";

/// Rooms that the child appends to, at once.
pub(crate) const ROOMS: u64 = 4;
/// Messages of one append.
pub(crate) const BATCH: u64 = 3;

/// An append that the child was told is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) room: u64,
    pub(crate) seq: u64,
    pub(crate) key: String,
}

/// The command that runs the child in a folder; its standard output is read by [`parse`].
pub(crate) fn command(folder: &Path, round: u32) -> Command {
    let mut command = Command::new(executable());
    command.args(arguments()).env(FOLDER, folder).env(ROUND, round.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

pub(crate) fn executable() -> PathBuf {
    std::env::current_exe().unwrap()
}

pub(crate) fn arguments() -> [&'static str; 5] {
    ["--exact", "child::appends_until_it_is_killed", "--ignored", "--nocapture", "--test-threads=1"]
}

pub(crate) fn key(round: u32, number: u64) -> String {
    format!("{round}-{number:08}")
}

/// What a line of the child's output says; the test harness writes lines of its own.
pub(crate) fn parse(line: &str) -> Option<Ack> {
    let (_, ack) = line.split_once("ack ")?;
    let mut words = ack.split(' ');
    let (room, seq) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(Ack { room, seq, key: words.next()?.to_owned() })
}

#[tokio::test]
#[ignore = "is run by other tests, as a process of its own"]
async fn appends_until_it_is_killed() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let round = std::env::var(ROUND).unwrap().parse().unwrap();
    let clock = Arc::new(ManualClock::new(BEGIN_MICROS));
    let store = EmbeddedStore::open(&folder, options(), clock, &mut Registry::default()).unwrap();
    join_all((1..=ROOMS).map(|raw| append_for_ever(&store, raw, round))).await;
}

async fn append_for_ever(store: &EmbeddedStore, raw: u64, round: u32) {
    let room = room(raw);
    if store.head(room).await.unwrap().is_none() {
        create_room(store, room).await;
    }
    let mut head = store.head(room).await.unwrap().unwrap();
    for first in (0..).step_by(usize::try_from(BATCH).unwrap()) {
        let events = (first..first + BATCH).map(|number| message(room, &key(round, number), "text")).collect();
        let (epoch, known_seq) = (head.position.epoch, head.position.seq);
        let append = Append { room, epoch, known_seq, state_seq: head.state_seq, events };
        for outcome in store.append(append).await.unwrap() {
            let Outcome::Appended(event) = outcome else { panic!("a new key: {outcome:?}") };
            head.position = event.position();
            say(&format!("ack {raw} {} {}", event.seq, event.key.unwrap()));
        }
    }
}

/// One write a line: what the reader sees was said whole, and before the kill.
fn say(line: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).unwrap();
}
