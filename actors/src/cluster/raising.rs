//! Logs that are open, and how they become so.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bobchat_proto::ids::{Epoch, RoomId};

use super::Cluster;
use crate::log::{Raise, RaiseEnd, run, wait};
use crate::ports::{LiveHead, LogRow, Raiser, Unavailable};
use crate::random::RandomState;

/// How often a log is looked at, or raised, before whoever waits is told that it cannot be reached: some seconds.
const TRIES_MAX: u32 = 8;

/// What is added to the attempts when another node raises: as long as that takes on servers that have much to do, some
/// hundred milliseconds.
const RAISE_LASTS: u32 = 3;

/// Rooms with a turn that are kept before those that nobody waits for are forgotten.
const TURNS_KEPT: usize = 1024;

/// Who may raise a room's log: one at a time for a room and node (rule 13).
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<RoomId, Arc<tokio::sync::Mutex<()>>, RandomState>>);

impl Turns {
    async fn take(&self, room: RoomId) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if turns.len() > TURNS_KEPT {
                turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            }
            Arc::clone(turns.entry(room).or_default())
        };
        turn.lock_owned().await
    }
}

impl Cluster {
    /// Makes sure that a room's log is open, and says under which epochs it stands; `None` where there is no such
    /// room, unless it is to be made.
    pub(super) async fn opened(&self, room: RoomId, make: bool) -> Result<Option<(LogRow, LiveHead)>, Unavailable> {
        for attempt in 1..=TRIES_MAX {
            let row = match self.node.store.log_row(room, false).await? {
                None if !make => return Ok(None),
                None => LogRow::missing(),
                Some(row) => row,
            };
            if row.is_loaded() {
                self.learn(room, &row);
                match self.node.live.head(room).await? {
                    Some(live) if live.head.position.epoch == row.epoch => return Ok(Some((row, live))),
                    // It was raised between the two looks.
                    Some(live) if live.head.position.epoch > row.epoch => wait(attempt).await,
                    _ => self.raise(room, Some(row.epoch)).await?,
                }
            } else {
                self.raise(room, row.spans.last().map(|span| span.epoch)).await?;
            }
        }
        Err(Unavailable::new(format_args!("room {room} does not stay open")))
    }

    /// Raises a room's log from the epoch that was found cold, or sees to it that another one's raise comes to its
    /// end; `None` makes the room. On return a newer epoch stands: the room is loaded again.
    ///
    /// With the store down this fails, and nothing is opened (rule 13).
    pub(super) async fn raise(&self, room: RoomId, from: Option<Epoch>) -> Result<(), Unavailable> {
        let _turn = self.turns.take(room).await;
        let mut waited_for = None;
        for attempt in 1..=TRIES_MAX {
            let row = self.node.store.log_row(room, false).await?;
            let epoch = row.as_ref().map(|row| row.epoch);
            match &row {
                Some(row) if epoch > from && row.is_loaded() => {
                    self.learn(room, row);
                    return Ok(());
                }
                // Rule 2: somebody is raising it, or died over it: that is seen by waiting.
                Some(_) if epoch > from && waited_for != epoch => {
                    waited_for = epoch;
                    wait(attempt.saturating_add(RAISE_LASTS)).await;
                    continue;
                }
                // There is no such epoch: whoever named it loads the room.
                _ if epoch < from => return Ok(()),
                _ => {}
            }
            match self.raise_once(room, epoch).await? {
                // The row says so next.
                RaiseEnd::Opened(_) => {}
                RaiseEnd::Superseded | RaiseEnd::Unavailable => wait(attempt).await,
            }
        }
        Err(Unavailable::new(format_args!("room {room} could not be opened")))
    }

    async fn raise_once(&self, room: RoomId, from: Option<Epoch>) -> Result<RaiseEnd, Unavailable> {
        // Nobody holds anything of a room that is being made.
        let salvage_for = from.map(|_| self.options.salvage_for).unwrap_or_default();
        let end = run(&self.node, Raise::new(room, from, random_raiser()?).salvage_for(salvage_for)).await;
        match end {
            RaiseEnd::Opened(head) => {
                self.metrics.raises.inc();
                tracing::info!(node.id = self.number, room.id = %room, epoch = %head.position.epoch, message.seq = %head.position.seq, "opened a room's log");
            }
            RaiseEnd::Superseded | RaiseEnd::Unavailable => {
                self.metrics.raises_failed.inc();
                tracing::info!(room.id = %room, end = ?end, "did not open a room's log");
            }
        }
        Ok(end)
    }
}

fn random_raiser() -> Result<Raiser, Unavailable> {
    let mut token = [0; 16];
    crate::random::fill(&mut token).map_err(Unavailable::new)?;
    Ok(Raiser(u128::from_be_bytes(token)))
}
