use std::time::Duration;

use async_trait::async_trait;
use bobchat_proto::ids::{Epoch, RoomId, Sequence};
use bobchat_proto::wire;

use super::{Ack, Cluster};
use crate::log::{Attempt, Need, Outgoing, Send, SendEnd, SendJob, asks_the_table, run};
use crate::ports::projection::changes_state;
use crate::ports::{Append, AppendError, Head, NewEvent, Outcome, RoomLog, Unavailable};

/// The wait that is advised where nothing better is known.
const BUSY_RETRY: Duration = Duration::from_millis(250);

#[async_trait]
impl RoomLog for Cluster {
    /// Can be repeated by anybody; whoever comes second finds what the first one made (rule 31).
    async fn open(&self, room: RoomId) -> Result<Head, Unavailable> {
        let opened = self.opened(room, true).await?;
        opened.map(|(_, live)| live.head).ok_or_else(|| Unavailable::new(format_args!("room {room} was not made")))
    }

    /// On return each event is in the live log, and held by this node until it is stored; what changes the room's
    /// state, or everything with [`Ack::History`], is stored.
    async fn append(&self, append: Append) -> Result<Vec<Outcome>, AppendError> {
        if append.events.is_empty() {
            return Ok(Vec::new());
        }
        let (room, epoch) = (append.room, append.epoch);
        // Nothing is on its way yet: whoever asks may come back.
        let not_now = |error: Unavailable| {
            tracing::warn!(room.id = %room, error = %error, "could not append to a room");
            AppendError::Full { retry_after: BUSY_RETRY }
        };
        let job = self.send_job(append).await.map_err(not_now)?;
        let end = run(&self.node, Send::new(job)).await;
        self.dirty.add(room);
        match end {
            SendEnd::Placed { outcomes } => Ok(outcomes),
            SendEnd::Again { need, in_doubt } => {
                if need == Need::Raise
                    && let Err(error) = self.raise(room, Some(epoch)).await
                {
                    return Err(if in_doubt { AppendError::Unknown(error) } else { not_now(error) });
                }
                Err(if in_doubt { in_doubt_again(need) } else { again(need) })
            }
            SendEnd::Busy { retry_after } => {
                self.metrics.full.inc();
                Err(AppendError::Full { retry_after: retry_after.unwrap_or(BUSY_RETRY) })
            }
            SendEnd::Closed => Err(AppendError::Closed),
            SendEnd::Unknown => Err(AppendError::Unknown(Unavailable::new("the log did not answer"))),
        }
    }

    /// Held like what this node answered for, and salvaged with it (rule 16).
    fn put_back(&self, room: RoomId, events: Vec<wire::Event>) {
        self.node.unarchived.hold(room, events);
        self.worries.add(room);
    }

    /// Who appended does not archive what this node has the lease for, and its sweep would find it seconds later.
    fn heard(&self, room: RoomId) {
        if self.leases.holds(room) {
            self.dirty.add(room);
        }
    }

    async fn head(&self, room: RoomId) -> Result<Option<Head>, Unavailable> {
        if let Some(live) = self.node.live.head(room).await? {
            return Ok(Some(live.head));
        }
        Ok(self.opened(room, false).await?.map(|(_, live)| live.head))
    }

    /// Of a log that is cold nothing: it is opened when somebody needs it.
    async fn tail(&self, room: RoomId, after: Sequence, limit: usize) -> Result<Vec<wire::Event>, Unavailable> {
        Ok(self.node.live.tail(room, after, limit).await?.map(|tail| tail.events).unwrap_or_default())
    }

    async fn epoch(&self, room: RoomId) -> Result<Option<Epoch>, Unavailable> {
        Ok(self.node.live.head(room).await?.map(|live| live.head.position.epoch))
    }
}

impl Cluster {
    async fn send_job(&self, append: Append) -> Result<SendJob, Unavailable> {
        let now = self.live_clock.now(&*self.node.live, &*self.clock).await?;
        let row = match self.rows.get(append.room) {
            Some(row) => Some(row),
            None => {
                let row = self.node.store.log_row(append.room, false).await?;
                row.inspect(|row| self.learn(append.room, row))
            }
        };
        let opened_at = row.filter(|row| row.epoch == append.epoch).and_then(|row| row.opened_at);
        // Members and settings are stored before anybody is told, so that the directory is never behind an answer.
        let history = self.options.ack == Ack::History || append.events.iter().any(|new| changes_state(&new.event));
        let deadline = i64::try_from(self.options.deadline.as_micros()).unwrap_or(i64::MAX);
        Ok(SendJob {
            room: append.room,
            epoch: append.epoch,
            known_seq: append.known_seq,
            state_seq: append.state_seq,
            events: append.events.into_iter().map(|new| self.outgoing(new, opened_at)).collect(),
            deadline: now.saturating_add(deadline),
            bounds: self.options.bounds,
            history,
            in_doubt: false,
        })
    }

    fn outgoing(&self, new: NewEvent, opened_at: Option<i64>) -> Outgoing {
        let attempt = new.made_at.map_or(Attempt::Repeat, |made_at| Attempt::First { made_at });
        let ask = asks_the_table(attempt, opened_at, self.clock.now_micros());
        Outgoing { new, ask }
    }
}

fn again(need: Need) -> AppendError {
    match need {
        Need::Raise => AppendError::Cold,
        Need::Reload => AppendError::StaleEpoch,
        Need::CatchUp => AppendError::Behind,
    }
}

/// Rule 9: what may have been appended stays unknown. The room notes that, asks again with the same batch, and is
/// then told what to do first.
fn in_doubt_again(need: Need) -> AppendError {
    AppendError::Unknown(Unavailable::new(format_args!("an attempt may have been taken; now it takes {need:?}")))
}
