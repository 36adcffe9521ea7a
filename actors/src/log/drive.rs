use std::sync::Arc;
use std::time::Duration;

use bobchat_proto::ids::{Position, RoomId, Sequence};
use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};

use super::{Call, Job, Permit, Reply, Step, Unarchived};
use crate::ports::{EventStore, LiveLog, StoredEvent, Unavailable};

/// Questions about one batch that are under way at the same time: enough that a batch takes a few round trips.
const AT_ONCE: usize = 64;

/// Rows that are read for one position: the seq's first ones. Nearly always it has one.
const ROWS_OF_A_SEQ: usize = 2;

/// Rows of one seq that are looked at before it is given up: a room that lost its log more often within a week is
/// answered with an event that it has already, under a new key.
const ROWS_OF_A_SEQ_MAX: usize = 64;

/// The wait after a first failure; it doubles with each one.
const WAIT_FIRST: Duration = Duration::from_millis(50);

/// The longest wait: a server that comes back is found within it.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// What a node's jobs run on.
#[derive(Clone)]
pub struct Node {
    /// The live ends of logs.
    pub live: Arc<dyn LiveLog>,
    /// What is kept for good.
    pub store: Arc<dyn EventStore>,
    /// What this node answered for.
    pub unarchived: Arc<Unarchived>,
}

/// Carries a job out: each call, one after the other, until it is done. Decides nothing.
///
/// Dropping the future is as the death of the node, but that what is held stays held.
pub async fn run<J: Job>(node: &Node, mut job: J) -> J::End {
    // Held from before the append until its events are in the store.
    let mut permit = None;
    loop {
        match job.next() {
            Step::Done(end) => return end,
            Step::Call(call) => {
                let reply = node.carry_out(job.room(), call, &mut permit).await;
                job.on(reply);
            }
        }
    }
}

impl Node {
    /// Carries out one call.
    pub(super) async fn carry_out(&self, room: RoomId, call: Call, permit: &mut Option<Permit>) -> Reply {
        let Self { live, store, unarchived } = self;
        match call {
            Call::LogRow { serial } => Reply::LogRow(store.log_row(room, serial).await),
            Call::Raise { from, raiser } => Reply::Raised(store.raise(room, from, raiser).await),
            Call::Begin(span, raiser) => Reply::Begun(store.begin(room, span, raiser).await),
            Call::Store(events) => Reply::Written(store.store(room, events).await),
            Call::Stored { from, limit } => Reply::Stored(store.stored(room, from, limit).await),
            Call::MarkRenumbered(orphans) => Reply::Written(store.mark_renumbered(room, &orphans).await),
            Call::Keys { author, key } => Reply::Keys(store.keys(room, author, &key).await),
            Call::AllKeys(keys) => {
                let calls = keys.iter().map(|(author, key)| store.keys(room, *author, key)).collect();
                Reply::AllKeys(at_once(calls).await)
            }
            Call::Rows(positions) => {
                let calls = positions.iter().map(|position| self.row_at(room, *position)).collect();
                Reply::Rows(at_once(calls).await)
            }
            Call::NotedHead => Reply::NotedHead(store.noted_head(room).await),
            Call::NoteHead(head) => Reply::Written(store.note_head(room, head).await),
            Call::Append(append) => Reply::Appended(live.append(append).await),
            Call::Fence(epoch) => Reply::Fenced(live.fence(room, epoch).await),
            Call::Open(opening) => Reply::Opened(live.open(opening).await),
            Call::Advance(through) => Reply::Advanced(live.advance(room, through).await),
            Call::LiveHead => Reply::LiveHead(live.head(room).await),
            Call::Tail { after, limit } => Reply::Tail(live.tail(room, after, limit).await),
            Call::Tails(seqs) => {
                let tail = |seq: &Sequence| live.tail(room, Sequence(seq.0.saturating_sub(1)), 1);
                Reply::Tails(at_once(seqs.iter().map(tail).collect()).await)
            }
            Call::Reserve { bytes } => {
                *permit = unarchived.reserve(bytes);
                Reply::Reserved(permit.is_some())
            }
            Call::Hold(events) => {
                unarchived.hold(room, events);
                Reply::Noted
            }
            Call::Archived(through) => {
                unarchived.archived(room, through);
                Reply::Noted
            }
            Call::Release(positions) => {
                unarchived.release(room, &positions);
                Reply::Noted
            }
            Call::Wait { attempt } => {
                wait(attempt).await;
                Reply::Noted
            }
        }
    }
}

impl Node {
    /// The row at a position, orphan or not.
    async fn row_at(&self, room: RoomId, position: Position) -> Result<Option<StoredEvent>, Unavailable> {
        for limit in [ROWS_OF_A_SEQ, ROWS_OF_A_SEQ_MAX] {
            let rows = self.store.stored(room, position.seq, limit).await?;
            let has_more = rows.len() == limit && rows.last().is_some_and(|row| row.event.seq == position.seq.0);
            let found = rows.into_iter().find(|row| row.event.position() == position);
            if found.is_some() || !has_more {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// Does all of these, some at the same time, and keeps their order.
async fn at_once<T>(calls: Vec<impl Future<Output = Result<T, Unavailable>>>) -> Result<Vec<T>, Unavailable> {
    iter(calls).buffered(AT_ONCE).try_collect().await
}

/// Waits after so many failures.
pub(crate) async fn wait(attempt: u32) {
    tokio::time::sleep(pause(attempt)).await;
}

/// Between a half and the whole of a time that doubles with each attempt, so that many that failed at once do
/// not come back at once.
fn pause(attempt: u32) -> Duration {
    let full = WAIT_FIRST.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(WAIT_MAX);
    let mut random = [0];
    // Without randomness all wait the same.
    let _ = crate::random::fill(&mut random);
    full / 2 + full / 2 * u32::from(random[0]) / 255
}

#[cfg(test)]
mod tests {
    use bobchat_proto::ids::{Epoch, Position, Sequence};
    use bobchat_proto::wire::{self, event::Body};

    use super::*;
    use crate::log::{Archive, ArchiveEnd, Outgoing, Raise, RaiseEnd, Send, SendEnd, SendJob};
    use crate::ports::memory::{ManualClock, MemoryEventStore, MemoryLiveLog};
    use crate::ports::{LiveBounds, NewEvent, Outcome, Raiser};
    use crate::room::body_hash;

    const ROOM: RoomId = match RoomId::new(5) {
        Ok(room) => room,
        Err(_) => unreachable!(),
    };

    fn node() -> (Node, Arc<MemoryLiveLog>, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(1_000_000));
        let live = MemoryLiveLog::new(Arc::clone(&clock) as _);
        let store = MemoryEventStore::new(Arc::clone(&clock) as _);
        (Node { live: Arc::clone(&live) as _, store, unarchived: Unarchived::new(1 << 20) }, live, clock)
    }

    fn hello(epoch: u64, clock: &ManualClock) -> Send {
        let body = Body::Message(wire::Message { text: "hello".to_owned() });
        let body_hash = body_hash(&body);
        let event = wire::Event {
            room: ROOM.get(),
            id: 9,
            author: 1,
            key: Some("k".to_owned()),
            body: Some(body),
            ..wire::Event::default()
        };
        Send::new(SendJob {
            room: ROOM,
            epoch: Epoch(epoch),
            known_seq: Sequence::ZERO,
            state_seq: Sequence::ZERO,
            events: vec![Outgoing { new: NewEvent { event, body_hash, made_at: None }, ask: true }],
            deadline: crate::ports::Clock::now_micros(clock) + 10_000_000,
            bounds: LiveBounds { events: 100, bytes: 1 << 20 },
            history: false,
            in_doubt: false,
        })
    }

    #[tokio::test]
    async fn a_room_is_made_takes_a_message_loses_its_log_and_still_knows_it() {
        let (node, live, clock) = node();
        assert!(matches!(run(&node, Raise::new(ROOM, None, Raiser(1))).await, RaiseEnd::Opened(_)));
        clock.advance(Duration::from_secs(2));
        let SendEnd::Placed { outcomes } = run(&node, hello(1, &clock)).await else { panic!("not placed") };
        assert!(matches!(&outcomes[..], [Outcome::Appended(event)] if event.seq == 1));
        let first = Position { epoch: Epoch(1), seq: Sequence(1) };
        assert_eq!(run(&node, Archive::new(ROOM)).await, ArchiveEnd::Archived(first));
        assert!(node.unarchived.rooms().is_empty(), "it is stored");

        live.restart_empty();
        assert!(matches!(run(&node, hello(1, &clock)).await, SendEnd::Placed { .. }), "the table knows the key");
        let RaiseEnd::Opened(head) = run(&node, Raise::new(ROOM, Some(Epoch(1)), Raiser(2))).await else {
            panic!("not opened")
        };
        assert_eq!(head.position, Position { epoch: Epoch(2), seq: Sequence(1) });
        let SendEnd::Placed { outcomes } = run(&node, hello(2, &clock)).await else { panic!("not placed") };
        assert!(matches!(&outcomes[..], [Outcome::Repeated(placement)] if placement.position == first));
    }

    #[test]
    fn a_pause_doubles_up_to_two_seconds() {
        for (attempt, most) in [(1, 50), (2, 100), (5, 800), (7, 2_000), (60, 2_000)] {
            let pause = pause(attempt).as_millis();
            assert!(pause * 2 >= most && pause <= most, "attempt {attempt}: {pause} ms");
        }
    }
}
