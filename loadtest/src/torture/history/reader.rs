//! Reads a history.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::{Context as _, ensure};
use bobchat_proto::wire;
use serde::de::DeserializeOwned;

use super::super::check::NodeLog;
use super::deed::Deed;
use super::fact::{Fact, Told};
use super::meta::{FORMAT, Meta};
use super::writer::{ClientLine, EventLine, LogLine};
use super::{EVENTS, LOGS, META, NEMESIS, client_file};

/// A run as its files tell it.
#[derive(Debug)]
pub(in super::super) struct History {
    pub(in super::super) meta: Meta,
    pub(in super::super) deeds: Vec<Deed>,
    pub(in super::super) logs: Vec<NodeLog>,
    events: HashMap<u64, wire::Event>,
    clients: Vec<Lines<ClientLine<Fact>>>,
}

impl History {
    /// Opens a history.
    ///
    /// # Errors
    /// When a file is missing or cannot be read: which, and at which line.
    pub(in super::super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(META);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{} is no history of a torture run: no {META} there", folder.display()))?;
        let meta: Meta = serde_json::from_str(&text).with_context(|| format!("could not read {}", path.display()))?;
        ensure!(meta.format == FORMAT, "{} has format {}; this reads {FORMAT}", folder.display(), meta.format);
        let events = Lines::<EventLine<wire::Event>>::open(&folder.join(EVENTS))?
            .map(|line| line.map(|line| (line.number, line.event)))
            .collect::<anyhow::Result<HashMap<_, _>>>()?;
        let all = |numbers: &[u64]| numbers.iter().map(|number| find(&events, *number)).collect::<anyhow::Result<_>>();
        let mut logs = Vec::new();
        for line in Lines::<LogLine>::open(&folder.join(LOGS))? {
            let LogLine { room, node, events, messages } = line?;
            logs.push(NodeLog { room, node, events: all(&events)?, messages: all(&messages)? });
        }
        let deeds = Lines::open(&folder.join(NEMESIS))?.collect::<anyhow::Result<_>>()?;
        let clients = (0..meta.clients + meta.abusers).map(|client| Lines::open(&client_file(folder, client)));
        let clients = clients.collect::<anyhow::Result<_>>()?;
        Ok(Self { meta, deeds, logs, events, clients })
    }

    /// Tells all facts in the order in which they happened.
    ///
    /// # Errors
    /// When a line cannot be read.
    pub(in super::super) fn for_each(&mut self, mut take: impl FnMut(Told)) -> anyhow::Result<()> {
        // One line of each client waits; the earliest of them is next.
        let mut next = self.clients.iter_mut().map(|lines| lines.next().transpose()).collect::<Result<Vec<_>, _>>()?;
        loop {
            let waiting = next.iter().enumerate().filter_map(|(client, line)| Some((line.as_ref()?.op.n, client)));
            let Some((_, client)) = waiting.min() else { return Ok(()) };
            let following = match self.clients.get_mut(client) {
                Some(lines) => lines.next().transpose()?,
                None => None,
            };
            let Some(line) = next.get_mut(client).and_then(|slot| std::mem::replace(slot, following)) else { continue };
            let events = line.events.iter().map(|number| find(&self.events, *number)).collect::<anyhow::Result<_>>()?;
            take(Told { op: line.op, client, fact: line.fact, events });
        }
    }
}

fn find(events: &HashMap<u64, wire::Event>, number: u64) -> anyhow::Result<wire::Event> {
    events.get(&number).cloned().with_context(|| format!("the history names event {number} and does not hold it"))
}

/// The lines of a file.
#[derive(Debug)]
struct Lines<T> {
    path: String,
    number: usize,
    lines: std::io::Lines<BufReader<File>>,
    of: std::marker::PhantomData<T>,
}

impl<T> Lines<T> {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("the history has no {}", path.display()))?;
        let (path, lines) = (path.display().to_string(), BufReader::new(file).lines());
        Ok(Self { path, number: 0, lines, of: std::marker::PhantomData })
    }
}

impl<T: DeserializeOwned> Iterator for Lines<T> {
    type Item = anyhow::Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?;
        self.number += 1;
        let parsed = line.map_err(anyhow::Error::from).and_then(|line| Ok(serde_json::from_str(&line)?));
        Some(parsed.with_context(|| format!("{}:{}: not a line of a history", self.path, self.number)))
    }
}
