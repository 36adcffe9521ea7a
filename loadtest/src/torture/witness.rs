//! The checker for whoever drives clients in another way: the simulation, which has its own time and network.

use std::collections::BTreeMap;

use bobchat_proto::ids::Position;
use bobchat_proto::wire;

use super::check::{Check, NodeLog};
use crate::check::Kind;

/// Checks one run: is told what clients say, hear and read, in the order in which it happens.
#[derive(Debug, Default)]
pub struct Witness(Check);

/// A room's log as one node shows it, from its first event to its last, and its messages as history shows them.
#[derive(Debug, Clone)]
pub struct ShownLog {
    /// The room.
    pub room: u64,
    /// The node.
    pub node: usize,
    /// Its events.
    pub events: Vec<wire::Event>,
    /// Its messages, read as pages.
    pub messages: Vec<wire::Event>,
}

impl Witness {
    /// A client has a new connection, which carries nothing yet.
    pub fn connected(&mut self, client: usize) {
        self.0.tick();
        self.0.connected(client);
    }

    /// A client's stream of a room goes on after a position.
    pub fn subscribed(&mut self, client: usize, room: u64, after: Position) {
        self.0.tick();
        self.0.subscribed(client, room, after);
    }

    /// A client's stream of a room was told to drop what it has and go on after `head`.
    pub fn reset(&mut self, client: usize, room: u64, cursor: Position, head: Position) {
        self.0.tick();
        self.0.reset(client, room, cursor, head);
    }

    /// A stream brought an event.
    pub fn live(&mut self, client: usize, event: &wire::Event) {
        self.0.tick();
        self.0.live(client, event);
    }

    /// A page showed events. `known`: what the reader was told before it asked, which the newest page must reach.
    pub fn page(&mut self, events: &[wire::Event], known: Option<Position>) {
        self.0.tick();
        self.0.page(events, known);
    }

    /// A client is about to send a message for the first time.
    pub fn sending(&mut self, room: u64, author: u64, key: &str, text: &str) {
        self.0.tick();
        self.0.sending(room, author, key, text);
    }

    /// A message was acknowledged, for the first time or again.
    pub fn acked(&mut self, key: &str, ack: &wire::MessageSendOk) {
        self.0.tick();
        self.0.acked(key, ack);
    }

    /// A client heard that a message was surely not added, and gave it up.
    pub fn abandoned(&mut self, key: &str) {
        self.0.tick();
        self.0.abandoned(key);
    }

    /// A client gave a message up that may or may not stand.
    pub fn left_open(&mut self, key: &str) {
        self.0.tick();
        self.0.left_open(key);
    }

    /// Everybody who held a message is gone: the one loss that is documented (docs/guarantees.md).
    pub fn excused(&mut self, key: &str) {
        self.0.excused(key);
    }

    /// Notes what went wrong outside messages.
    pub fn fault(&mut self, kind: Kind, detail: impl FnOnce() -> String) {
        self.0.tick();
        self.0.fault(kind, detail);
    }

    /// Judges the run. Nobody sends any more, and nothing is broken.
    pub fn finish(&mut self, logs: Vec<ShownLog>) {
        let logs: Vec<NodeLog> = logs
            .into_iter()
            .map(|ShownLog { room, node, events, messages }| NodeLog { room, node, events, messages })
            .collect();
        self.0.finish(&logs);
    }

    /// Messages that were acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.0.tally.acked
    }

    /// Events that streams brought.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.0.tally.delivered
    }

    /// What is broken, and how often.
    #[must_use]
    pub fn broken(&self) -> &BTreeMap<Kind, u64> {
        &self.0.violations.counts
    }

    /// The first of each kind, for people.
    #[must_use]
    pub fn examples(&self) -> &[String] {
        &self.0.violations.examples
    }
}
