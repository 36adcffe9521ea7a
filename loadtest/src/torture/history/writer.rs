//! Writes a history.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bobchat_proto::ids::Position;
use bobchat_proto::wire;
use serde::{Deserialize, Serialize};

use super::super::check::NodeLog;
use super::deed::Deed;
use super::fact::{Fact, Op};
use super::meta::Meta;
use super::{EVENTS, LOGS, META, NEMESIS, client_file};

/// A line of a client's file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ClientLine<F> {
    #[serde(flatten)]
    pub(super) op: Op,
    #[serde(flatten)]
    pub(super) fact: F,
    /// The numbers of the events that it was shown.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(super) events: Vec<u64>,
}

/// A line of the file of events.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EventLine<E> {
    pub(super) number: u64,
    pub(super) event: E,
}

/// A line of the file of logs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LogLine {
    pub(super) room: u64,
    pub(super) node: usize,
    pub(super) events: Vec<u64>,
    pub(super) messages: Vec<u64>,
}

/// Writes a history. Whoever holds it is the only one who tells it something.
#[derive(Debug)]
pub(in super::super) struct Writer {
    folder: PathBuf,
    clients: Vec<BufWriter<File>>,
    events: BufWriter<File>,
    logs: BufWriter<File>,
    nemesis: BufWriter<File>,
    /// The events that were written, by place: more than one at a place only if servers disagree.
    known: HashMap<(u64, Position), Vec<(u64, wire::Event)>>,
    numbers: u64,
}

impl Writer {
    /// Begins a history in a folder, which is made; what an earlier run left there is removed.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(in super::super) fn begin(folder: &Path, clients: usize) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
        for old in std::fs::read_dir(folder)? {
            let path = old?.path();
            if path.extension().is_some_and(|end| end == "jsonl") || path.ends_with(META) {
                std::fs::remove_file(path)?;
            }
        }
        let make = |path: PathBuf| -> anyhow::Result<_> {
            let file = File::create(&path).with_context(|| format!("could not make {}", path.display()))?;
            Ok(BufWriter::new(file))
        };
        Ok(Self {
            folder: folder.to_owned(),
            clients: (0..clients).map(|client| make(client_file(folder, client))).collect::<Result<_, _>>()?,
            events: make(folder.join(EVENTS))?,
            logs: make(folder.join(LOGS))?,
            nemesis: make(folder.join(NEMESIS))?,
            known: HashMap::new(),
            numbers: 0,
        })
    }

    /// Writes what a client did or heard.
    ///
    /// # Errors
    /// When the disk takes it not.
    pub(in super::super) fn tell(
        &mut self,
        op: Op,
        client: usize,
        fact: &Fact,
        events: &[wire::Event],
    ) -> anyhow::Result<()> {
        let events = events.iter().map(|event| self.number(event)).collect::<anyhow::Result<Vec<_>>>()?;
        let file = self.clients.get_mut(client).context("a client that is not of this run")?;
        write_line(file, &ClientLine { op, fact, events })
    }

    /// Writes what the nemesis did.
    ///
    /// # Errors
    /// When the disk takes it not.
    pub(in super::super) fn done(&mut self, deed: &Deed) -> anyhow::Result<()> {
        write_line(&mut self.nemesis, deed)?;
        Ok(self.nemesis.flush()?)
    }

    /// Writes what a node showed in the end.
    ///
    /// # Errors
    /// When the disk takes it not.
    pub(in super::super) fn shown(&mut self, log: &NodeLog) -> anyhow::Result<()> {
        let mut numbers = |events: &[wire::Event]| events.iter().map(|event| self.number(event)).collect();
        let (events, messages): (anyhow::Result<_>, anyhow::Result<_>) = (numbers(&log.events), numbers(&log.messages));
        let line = LogLine { room: log.room, node: log.node, events: events?, messages: messages? };
        write_line(&mut self.logs, &line)
    }

    /// Writes what the run is.
    ///
    /// # Errors
    /// When the disk takes it not.
    pub(in super::super) fn meta(&self, meta: &Meta) -> anyhow::Result<()> {
        Ok(std::fs::write(self.folder.join(META), serde_json::to_string_pretty(meta)?)?)
    }

    /// Sees to it that all is in the files.
    ///
    /// # Errors
    /// When the disk takes it not.
    pub(in super::super) fn flush(&mut self) -> anyhow::Result<()> {
        let files = self.clients.iter_mut().chain([&mut self.events, &mut self.logs, &mut self.nemesis]);
        Ok(files.into_iter().try_for_each(|file| file.flush())?)
    }

    /// Different places of events that anybody was shown.
    pub(in super::super) fn places(&self) -> usize {
        self.known.len()
    }

    /// The number of an event; a new one is written.
    fn number(&mut self, event: &wire::Event) -> anyhow::Result<u64> {
        let known = self.known.entry((event.room, event.position())).or_default();
        if let Some((number, _)) = known.iter().find(|(_, other)| other == event) {
            return Ok(*number);
        }
        self.numbers += 1;
        known.push((self.numbers, event.clone()));
        write_line(&mut self.events, &EventLine { number: self.numbers, event })?;
        Ok(self.numbers)
    }
}

fn write_line(file: &mut BufWriter<File>, line: &impl Serialize) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *file, line)?;
    file.write_all(b"\n").context("could not write the history")
}
