//! A bare client of the script that appends: what Redis can take of it at all.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::super::fanout::BYTES;
use super::redis::Redis;
use crate::dialect::event_frame_bytes;
use crate::redis::{Connection, Value, write_command};

/// The same that nodes call.
const SCRIPT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../src/adapters/redis/scripts/append.lua"));

/// What a client of nodes has beside: a deadline that does not pass, and bounds that are not met.
const FAR: &[u8] = b"9000000000000000";

/// What is called: rooms, how many calls of each are on the way, and how many events are in one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calls {
    pub(super) rooms: usize,
    pub(super) on_the_way: usize,
    pub(super) batch: usize,
    pub(super) seconds: f64,
}

/// A client of a Redis of its own.
pub(super) struct Bare {
    redis: Redis,
    connection: Connection,
    script: Vec<u8>,
    replid: Vec<u8>,
    payload: Vec<u8>,
    /// Rooms, events and their keys never come twice.
    next_room: u64,
    next_event: u64,
}

impl Bare {
    /// Starts both.
    ///
    /// # Errors
    /// When Redis does not start.
    pub(super) fn start() -> anyhow::Result<Self> {
        let redis = Redis::start()?;
        let mut connection = redis.connect()?;
        let script = connection.call(&[b"SCRIPT", b"LOAD", SCRIPT.as_bytes()])?.into_text()?.into_bytes();
        let info = connection.call(&[b"INFO", b"replication"])?.into_text()?;
        let replid = info.lines().find_map(|line| line.strip_prefix("master_replid:")).context("no master_replid")?;
        let (replid, payload) = (replid.trim().as_bytes().to_vec(), vec![b'x'; event_frame_bytes(BYTES)]);
        Ok(Self { redis, connection, script, replid, payload, next_room: 1, next_event: 1 })
    }

    pub(super) fn redis(&self) -> &Redis {
        &self.redis
    }

    /// Appends for as long as it says; gives events a second.
    ///
    /// # Errors
    /// When Redis refuses a batch.
    pub(super) fn events_a_second(&mut self, calls: Calls) -> anyhow::Result<f64> {
        let rooms: Vec<_> = (0..calls.rooms as u64).map(|number| Room::new(self.next_room + number)).collect();
        self.next_room += calls.rooms as u64;
        rooms.iter().try_for_each(|room| self.open(room))?;
        let (began, mut answered) = (Instant::now(), 0_u64);
        // Two halves on the way in turns, so that Redis has work while this reads and writes.
        let on_the_way = calls.rooms * calls.on_the_way.max(1);
        let halves = [on_the_way.div_ceil(2), on_the_way / 2];
        let mut turns = rooms.iter().cycle();
        for half in halves {
            self.send(turns.by_ref().take(half), calls.batch)?;
        }
        for half in halves.into_iter().cycle() {
            if began.elapsed() >= Duration::from_secs_f64(calls.seconds) {
                break;
            }
            self.read(half)?;
            answered += half as u64;
            self.send(turns.by_ref().take(half), calls.batch)?;
        }
        let rate = (answered * calls.batch as u64) as f64 / began.elapsed().as_secs_f64();
        self.read(on_the_way)?;
        rooms.iter().try_for_each(|room| self.forget(room))?;
        Ok(rate)
    }

    fn open(&mut self, room: &Room) -> anyhow::Result<()> {
        let mut words: Vec<&[u8]> = vec![b"HSET", room.meta.as_bytes(), b"replid", &self.replid, b"epoch", b"1"];
        for field in ["seq", "at", "ordinal", "state_seq", "archived", "bytes", "archived_bytes", "salvage_until"] {
            words.extend([field.as_bytes(), b"0"]);
        }
        for field in ["opened_at", "turn", "turned_seq"] {
            words.extend([field.as_bytes(), b"0"]);
        }
        // So that keys are not rotated: nothing is archived here.
        words.extend([b"turned_at".as_slice(), FAR]);
        self.connection.call(&words).map(drop)
    }

    fn forget(&mut self, room: &Room) -> anyhow::Result<()> {
        let keys = [&room.meta, &room.stream, &room.keys_0, &room.keys_1, &room.dirty, &room.heads];
        let mut words = vec![b"UNLINK".as_slice()];
        words.extend(keys.map(|key| key.as_bytes()));
        self.connection.call(&words).map(drop)
    }

    fn send<'r>(&mut self, rooms: impl Iterator<Item = &'r Room>, batch: usize) -> anyhow::Result<()> {
        let mut out = Vec::new();
        for room in rooms {
            let events: Vec<_> = (0..batch).map(|_| self.event()).collect();
            let mut words: Vec<&[u8]> = vec![b"EVALSHA", &self.script, b"6"];
            let keys = [&room.meta, &room.stream, &room.keys_0, &room.keys_1, &room.dirty, &room.heads];
            words.extend(keys.map(|key| key.as_bytes()));
            words.extend([b"1".as_slice(), b"0", b"0", FAR, FAR, FAR, b"0", b"PUBLISH"]);
            words.extend([room.channel.as_bytes(), b"\x08\x01".as_slice(), room.id.as_bytes()]);
            for (key, id) in &events {
                words.extend([key.as_slice(), id, id, b"message", &self.payload]);
            }
            write_command(&mut out, &words);
        }
        if out.is_empty() { Ok(()) } else { self.connection.send(&out) }
    }

    /// A key of 16 bytes, as nodes make them, and an identifier of 8.
    fn event(&mut self) -> ([u8; 16], [u8; 8]) {
        self.next_event += 1;
        (u128::from(self.next_event).to_be_bytes(), self.next_event.to_be_bytes())
    }

    fn read(&mut self, answers: usize) -> anyhow::Result<()> {
        for _ in 0..answers {
            let answer = self.connection.read()?;
            let taken = matches!(&answer, Value::Array(words)
                if words.first() == Some(&Value::Bytes(Some(b"OK".to_vec()))));
            ensure!(taken, "the bare client's batch was refused: {answer:?}");
        }
        Ok(())
    }
}

/// The names of a room's keys: as long as those of nodes.
struct Room {
    id: String,
    meta: String,
    stream: String,
    keys_0: String,
    keys_1: String,
    dirty: String,
    heads: String,
    channel: String,
}

impl Room {
    fn new(number: u64) -> Self {
        let (id, shard) = (number << 40, number % 256);
        let key = |name: &str| format!("bob:{{s{shard}}}:{id}:{name}");
        let of_shard = |name: &str| format!("bob:{{s{shard}}}:{name}");
        Self {
            id: id.to_string(),
            meta: key("meta"),
            stream: key("log"),
            keys_0: key("d0"),
            keys_1: key("d1"),
            dirty: of_shard("dirty"),
            heads: of_shard("heads"),
            channel: key("new"),
        }
    }
}
