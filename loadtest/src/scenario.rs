//! A load as data: a file of TOML, or one of those that the harness brings along.
//!
//! Everything that happens has a rate, and all rates are of the scenario as it is written: growing it for
//! `--find-max` grows them too.

mod catalog;
mod grown;

use anyhow::{Context as _, ensure};
use bobchat_proto::limits::MESSAGE_GRAPHEMES_MAX;
use serde::{Deserialize, Serialize};

use crate::client::{Shape, Slow};
use crate::load::Schedule;
use crate::message::BYTES_MIN;

pub(crate) use catalog::{find, list};

/// Length of a message where nothing else is said, as in the design's figures.
const BYTES: usize = 120;

/// More rooms or members than this are a typing error: each is a connection.
const CONNECTIONS_MAX: usize = 1_000_000;

/// Messages on the way at each member while rooms are filled: below what one connection may have.
pub(crate) const PREFILL_WINDOW: u64 = 16;

/// A load. docs/loadtest.md says what each key means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What it is called; the name of its file where none is given.
    #[serde(default)]
    pub(crate) title: String,
    /// What it is for.
    #[serde(default)]
    pub(crate) about: String,
    /// How long it goes on.
    pub(crate) seconds: f64,
    /// Rooms.
    pub(crate) rooms: usize,
    /// Members of each room, each a user and a connection of its own.
    pub(crate) members: usize,
    /// How many members of each room receive it; all without.
    pub(crate) receivers: Option<usize>,
    /// How many members of each room post; all without.
    pub(crate) senders: Option<usize>,
    /// Length of a message.
    #[serde(default = "bytes")]
    pub(crate) bytes: usize,
    /// Messages that each room has before it begins.
    #[serde(default)]
    pub(crate) prefill: u64,
    /// Members come while it is measured; without, all are there before.
    pub(crate) connect: Option<Connect>,
    /// Messages on an open-loop schedule.
    pub(crate) send: Option<Sending>,
    /// As many messages as the server takes: a closed loop.
    pub(crate) window: Option<Window>,
    /// Pages of history.
    pub(crate) history: Option<History>,
    /// People who type.
    pub(crate) typing: Option<Rate>,
    /// Connections that are lost, and come back.
    pub(crate) reconnect: Option<Rate>,
    /// Members that read slowly.
    pub(crate) slow: Option<SlowReaders>,
    /// What it breaks itself.
    #[serde(default)]
    pub(crate) fault: Vec<Fault>,
    /// What may not be passed, for `--find-max`.
    #[serde(default)]
    pub(crate) bounds: Bounds,
    /// What grows, for `--find-max`.
    #[serde(default)]
    pub(crate) grow: Grow,
}

const fn bytes() -> usize {
    BYTES
}

/// Members come while it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Connect {
    /// How many a second; all at the same moment without.
    pub(crate) per_second: Option<f64>,
}

/// Messages on an open-loop schedule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sending {
    /// Messages a second, over all rooms.
    pub(crate) per_second: f64,
    /// Messages to a room in one write.
    #[serde(default = "one")]
    pub(crate) burst: u64,
    /// Rooms that get their burst at the same moment.
    #[serde(default = "one_room")]
    pub(crate) together: usize,
}

const fn one() -> u64 {
    1
}

const fn one_room() -> usize {
    1
}

/// A closed loop.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Window {
    /// Messages on the way at each member.
    pub(crate) messages: u64,
}

/// Pages of history on an open-loop schedule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct History {
    /// Pages a second, over all members.
    pub(crate) per_second: f64,
    /// Pages that somebody reads before they open the room anew: the newest, then each the one before.
    #[serde(default = "pages")]
    pub(crate) pages: u32,
    /// Messages on a page.
    #[serde(default = "page")]
    pub(crate) limit: u32,
}

const fn pages() -> u32 {
    4
}

const fn page() -> u32 {
    50
}

/// Something on an open-loop schedule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rate {
    /// Times a second, over all members.
    pub(crate) per_second: f64,
}

/// Members that read slowly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlowReaders {
    /// How many of each room.
    pub(crate) members: usize,
    /// How much each reads.
    pub(crate) bytes_per_second: usize,
    /// How often they have to be closed, or the run has proven nothing.
    #[serde(default)]
    pub(crate) closes_min: u64,
    /// How often they have to be told to load anew.
    #[serde(default)]
    pub(crate) resets_min: u64,
}

/// Something that the run breaks itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// What.
    pub(crate) kind: FaultKind,
    /// Seconds after the beginning.
    pub(crate) at: f64,
    /// How long.
    pub(crate) seconds: f64,
}

/// What can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FaultKind {
    /// The processes of `--pid` stand still: SIGSTOP, then SIGCONT.
    Pause,
}

impl FaultKind {
    /// The fault in words.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
        }
    }
}

/// What may not be passed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Bounds {
    /// The 99th percentile of every latency, in milliseconds.
    pub(crate) p99_ms: f64,
    /// Errors and broken promises, as a part of all that was done.
    pub(crate) errors: f64,
}

impl Default for Bounds {
    /// A quarter of a second is what people do not notice yet in a conversation; no error is acceptable.
    fn default() -> Self {
        Self { p99_ms: 250.0, errors: 0.0 }
    }
}

/// What grows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Grow {
    pub(crate) what: Growing,
    /// Whether rates grow in proportion.
    pub(crate) rates: bool,
}

impl Default for Grow {
    fn default() -> Self {
        Self { what: Growing::Rooms, rates: true }
    }
}

/// What more users make more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Growing {
    /// More rooms of the same size.
    Rooms,
    /// Larger rooms.
    Members,
}

impl Scenario {
    /// Reads a scenario; `set` are `KEY=VALUE` with dots, each in place of what stands there.
    ///
    /// # Errors
    /// When it is no scenario: an unknown key is named.
    pub(crate) fn parse(text: &str, set: &[String]) -> anyhow::Result<Self> {
        let mut table: toml::Table = text.parse()?;
        for one in set {
            let (key, value) = one.split_once('=').with_context(|| format!("{one:?} is not KEY=VALUE"))?;
            put(&mut table, key.trim(), value.trim())?;
        }
        let scenario: Self = table.try_into()?;
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> anyhow::Result<()> {
        let users = self.rooms.saturating_mul(self.members);
        ensure!(self.rooms > 0 && self.members > 0, "rooms and members are above 0");
        ensure!(users <= CONNECTIONS_MAX, "{users} connections are more than {CONNECTIONS_MAX}");
        let bytes = BYTES_MIN..=MESSAGE_GRAPHEMES_MAX;
        ensure!(bytes.contains(&self.bytes), "bytes is {BYTES_MIN} to {MESSAGE_GRAPHEMES_MAX}: no message is longer");
        ensure!(self.seconds > 0.0 && self.seconds.is_finite(), "seconds is above 0");
        ensure!(self.send.is_none() || self.window.is_none(), "send and window are two ways to post: use one");
        for (key, rate) in self.rates() {
            ensure!(rate > 0.0 && rate.is_finite(), "{key}.per_second is above 0");
        }
        if let Some(send) = self.send {
            ensure!(send.burst > 0 && send.together > 0, "send.burst and send.together are above 0");
        }
        ensure!(self.window.is_none_or(|window| window.messages > 0), "window.messages is above 0");
        if let Some(history) = self.history {
            ensure!(history.pages > 0 && (1..=200).contains(&history.limit), "history: pages from 1, limit 1 to 200");
        }
        for (key, part) in [("receivers", self.receivers), ("senders", self.senders)] {
            ensure!(part.is_none_or(|part| (1..=self.members).contains(&part)), "{key} is 1 to members");
        }
        if let Some(slow) = self.slow {
            ensure!(slow.members < self.members && slow.bytes_per_second > 0, "slow: fewer members than the room has");
        }
        ensure!(self.connect.is_none() || self.receivers.is_none(), "with connect, everybody receives");
        let in_time = |fault: &Fault| fault.at >= 0.0 && fault.seconds > 0.0 && fault.at < self.seconds;
        ensure!(self.fault.iter().all(in_time), "a fault begins within the run and takes some time");
        Ok(())
    }

    fn rates(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let rates = [
            ("connect", self.connect.and_then(|connect| connect.per_second)),
            ("send", self.send.map(|send| send.per_second)),
            ("history", self.history.map(|history| history.per_second)),
            ("typing", self.typing.map(|typing| typing.per_second)),
            ("reconnect", self.reconnect.map(|reconnect| reconnect.per_second)),
        ];
        rates.into_iter().filter_map(|(key, rate)| Some((key, rate?)))
    }

    /// Users, each with a connection.
    pub(crate) const fn users(&self) -> usize {
        self.rooms * self.members
    }

    /// How many members where.
    pub(crate) fn shape(&self) -> Shape {
        let receivers = self.receivers.unwrap_or(self.members);
        Shape { rooms: self.rooms, members: self.members, receivers, bytes: self.bytes }
    }

    /// When to post.
    pub(crate) fn schedule(&self) -> Option<Schedule> {
        let Sending { per_second, burst, together } = self.send?;
        Some(Schedule { rate: per_second, burst, together, seconds: self.seconds })
    }

    /// Who reads slowly.
    pub(crate) fn slow_readers(&self) -> Option<Slow> {
        self.slow.map(|slow| Slow { members: slow.members, bytes_per_second: slow.bytes_per_second })
    }

    /// Whether it asks for more than the floor and the baseline know.
    pub(crate) const fn needs_bobchat(&self) -> bool {
        self.history.is_some() || self.typing.is_some() || self.reconnect.is_some() || self.prefill > 0
    }
}

/// Puts a value at a path of keys.
fn put(table: &mut toml::Table, path: &str, value: &str) -> anyhow::Result<()> {
    let value = format!("value = {value}").parse::<toml::Table>();
    let value = value.ok().and_then(|mut table| table.remove("value"));
    let value = value.with_context(|| format!("{path} was given what is no value of TOML; text needs quotes"))?;
    let mut place = table;
    let mut keys = path.split('.').peekable();
    while let Some(key) = keys.next() {
        if keys.peek().is_none() {
            place.insert(key.to_owned(), value);
            return Ok(());
        }
        let entry = place.entry(key).or_insert_with(|| toml::Table::new().into());
        place = entry.as_table_mut().with_context(|| format!("{path}: {key} is no table"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "seconds = 1\nrooms = 2\nmembers = 3\n[send]\nper_second = 10\n";

    #[test]
    fn a_key_that_does_not_exist_is_named() {
        for (text, key) in [("typo = 1\n", "typo"), ("[send]\nper_second = 1\nbursts = 2\n", "bursts")] {
            let text = format!("seconds = 1\nrooms = 1\nmembers = 1\n{text}");
            let error = format!("{:#}", Scenario::parse(&text, &[]).unwrap_err());
            assert!(error.contains(&format!("unknown field `{key}`")), "{error}");
        }
        let error = format!("{:#}", Scenario::parse(SMALL, &["history.depth=3".to_owned()]).unwrap_err());
        assert!(error.contains("`depth`"), "{error}");
    }

    #[test]
    fn what_is_set_replaces_and_adds() {
        let set = ["rooms=5", "send.burst = 4", "typing.per_second=2.5"].map(str::to_owned);
        let scenario = Scenario::parse(SMALL, &set).unwrap();
        assert_eq!((scenario.rooms, scenario.send.unwrap().burst), (5, 4));
        assert_eq!(scenario.typing, Some(Rate { per_second: 2.5 }));
        for set in [
            "rooms",
            "rooms=",
            "seconds.x=1",
            "rooms=0",
            "bytes=8001",
            "bytes=1",
            "send.per_second=0",
            "senders=9",
            "slow.members=1",
        ] {
            assert!(Scenario::parse(SMALL, &[set.to_owned()]).is_err(), "{set}");
        }
    }
}
