use std::collections::VecDeque;

use bobchat_proto::ids::{Epoch, Position};
use bobchat_proto::wire;

use super::Plant;
use super::runs::{self, Rows, as_stored};
use crate::ports::projection::{advance, place};
use crate::ports::{Head, LogRow, StoredEvent, StoredKey};

/// Finds, among the rows that were left over, those that the log must not lose, and their new places (rule 14 d).
#[derive(Debug)]
pub(super) struct Renumbering {
    row: LogRow,
    /// Where the log ends before.
    end: Head,
    /// Where it ends with what was renumbered; the new epoch's.
    head: Head,
    waiting: VecDeque<StoredEvent>,
    renumbered: Vec<StoredEvent>,
    /// Where all these stood, to be marked.
    old: Vec<Position>,
}

impl Renumbering {
    /// Begins behind what is stored and owned without a hole.
    pub(super) fn new(row: &LogRow, epoch: Epoch, from: Head, rows: &Rows) -> Self {
        let end = runs::contiguous(row, from, rows);
        let seen_at = rows.values().map(|stored| stored.event.at).max().unwrap_or(end.at);
        let orphans =
            if Plant::LeaveOrphans.is_planted() { Vec::new() } else { runs::orphans(row, end.position.seq, rows) };
        Self {
            row: row.clone(),
            end,
            // Rule 14 f: no event of the new epoch is earlier than one that anybody has seen.
            head: Head { position: Position { epoch, seq: end.position.seq }, at: end.at.max(seen_at), ..end },
            old: orphans.iter().map(|stored| stored.event.position()).collect(),
            waiting: orphans.into(),
            renumbered: Vec::new(),
        }
    }

    /// The event whose key is to be asked for; `None` when all were.
    pub(super) fn asks(&mut self) -> Option<(u64, String)> {
        while let Some(stored) = self.waiting.front() {
            if let Some(key) = &stored.event.key {
                return Some((stored.event.author, key.clone()));
            }
            self.decide(&[]);
        }
        None
    }

    /// Takes where the key was used: what the log has under another position is not taken again.
    pub(super) fn decide(&mut self, uses: &[StoredKey]) {
        let Some(stored) = self.waiting.pop_front() else { return };
        let used = runs::is_used(&self.row, self.end.position.seq, uses) && !Plant::RenumberAll.is_planted();
        if !used {
            self.renumber(stored.event);
        }
    }

    fn renumber(&mut self, mut event: wire::Event) {
        // Rule 16: it keeps its first position.
        event.first = event.first.or(Some(event.position().into()));
        place(&self.head, event.at, &mut event);
        self.head = advance(self.head, &event);
        self.renumbered.push(as_stored(event));
    }

    /// Where the new epoch begins.
    pub(super) fn base(&self) -> bobchat_proto::ids::Sequence {
        self.end.position.seq.next()
    }

    /// Where the log ends now, under the new epoch.
    pub(super) fn head(&self) -> Head {
        self.head
    }

    /// Takes the rows to be written.
    pub(super) fn take_rows(&mut self) -> VecDeque<StoredEvent> {
        std::mem::take(&mut self.renumbered).into()
    }

    /// Where they stood.
    pub(super) fn old(&self) -> &[Position] {
        &self.old
    }
}
