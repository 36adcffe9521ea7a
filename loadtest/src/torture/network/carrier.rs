//! One direction of a connection.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::link::Line;
use super::rule::{Direction, Harm, Pace, Rule};
use super::tally::{Counts, add};
use crate::torture::random::Random;

/// What is read at once.
const PIECE_BYTES: usize = 16 * 1024;

/// What a direction holds. More stays with its sender, whose kernel takes no more at some time: as on a real network.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// Why a connection has to end at both of its ends at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Its link cut it in the middle.
    Cut,
    /// Its link, or who sent here, reset it.
    Reset,
}

/// What came, to be passed on in this order.
enum Piece {
    Bytes(Bytes),
    /// Nothing follows.
    End,
    /// Who sent has reset the connection.
    Broken,
}

/// Carries one direction.
pub(super) struct Carrier {
    direction: Direction,
    port: u16,
    rule: watch::Receiver<Rule>,
    counts: Arc<Counts>,
    random: Random,
    waiting: VecDeque<(Instant, Piece)>,
    waiting_bytes: usize,
    /// When all that waits has been sent, as a pace wants it.
    sent: Instant,
    /// When the last that waits arrives.
    arrives: Instant,
    /// Bytes until the connection is cut.
    until_cut: Option<usize>,
    has_ended: bool,
}

impl Carrier {
    pub(super) fn new(direction: Direction, port: u16, line: &Line, random: Random) -> Self {
        let now = Instant::now();
        Self {
            direction,
            port,
            rule: line.rule.clone(),
            counts: line.counts.clone(),
            random,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            sent: now,
            arrives: now,
            until_cut: None,
            has_ended: false,
        }
    }

    /// Carries until there is nothing more to carry, or nobody to carry it to.
    ///
    /// # Errors
    /// When the connection has to end at once.
    pub(super) async fn carry(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Result<(), Ended> {
        let mut buffer = BytesMut::new();
        loop {
            let (pace, harm) = self.look();
            let is_held = harm.is_some_and(|harm| harm.holds(self.direction));
            while !is_held && let Some(piece) = self.take_due() {
                match piece {
                    Piece::Bytes(bytes) => {
                        if !self.pass(&mut to, &bytes).await? {
                            return Ok(());
                        }
                    }
                    Piece::End => {
                        // Who is gone does not hear that nothing follows.
                        let _ = to.shutdown().await;
                        return Ok(());
                    }
                    Piece::Broken => return Err(Ended::Reset),
                }
            }
            let due = self.waiting.front().map(|(due, _)| *due).filter(|_| !is_held);
            let reads = !self.has_ended && self.waiting_bytes < WAITING_BYTES_MAX;
            buffer.reserve(PIECE_BYTES);
            tokio::select! {
                // A rule holds for all that comes after it.
                biased;
                changed = self.rule.changed() => {
                    if changed.is_err() {
                        return Err(Ended::Reset);
                    }
                }
                () = sleep_until(due.unwrap_or(self.arrives)), if due.is_some() => {}
                read = from.read_buf(&mut buffer), if reads => self.take(read, &mut buffer, pace, is_held),
            }
        }
    }

    /// What its rule says now.
    fn look(&mut self) -> (Option<Pace>, Option<Harm>) {
        let (pace, harm) = {
            let rule = self.rule.borrow_and_update();
            (rule.pace, rule.harm_of(self.port))
        };
        self.until_cut = match harm {
            Some(Harm::Cut(most)) => self.until_cut.or_else(|| Some(1 + self.random.below(most))),
            _ => None,
        };
        (pace, harm)
    }

    fn take_due(&mut self) -> Option<Piece> {
        self.waiting.front().filter(|(due, _)| *due <= Instant::now())?;
        let (_, piece) = self.waiting.pop_front()?;
        if let Piece::Bytes(bytes) = &piece {
            self.waiting_bytes -= bytes.len();
        }
        Some(piece)
    }

    /// Takes what came, to be passed on when its time has come.
    fn take(&mut self, read: io::Result<usize>, buffer: &mut BytesMut, pace: Option<Pace>, is_held: bool) {
        let piece = match read {
            Ok(0) => Piece::End,
            Ok(_) => Piece::Bytes(buffer.split().freeze()),
            Err(_) => Piece::Broken,
        };
        let length = match &piece {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::End | Piece::Broken => 0,
        };
        self.has_ended = length == 0;
        self.waiting_bytes += length;
        if is_held {
            add(&self.counts.held_bytes, length);
        }
        let due = self.due(pace, length);
        self.waiting.push_back((due, piece));
    }

    /// When so many bytes arrive that came now.
    fn due(&mut self, pace: Option<Pace>, length: usize) -> Instant {
        let now = Instant::now();
        self.sent = self.sent.max(now);
        let mut arrives = now;
        if let Some(pace) = pace {
            self.sent += pace.sends(length);
            let jitter = usize::try_from(pace.jitter.as_millis()).unwrap_or_default();
            arrives = self.sent + pace.latency + self.random.millis(0, jitter);
            add(&self.counts.delayed, 1);
        }
        self.arrives = self.arrives.max(arrives);
        self.arrives
    }

    /// Passes bytes on; `false`: nobody is there any more. Their sender learns of it in the other direction, which may be
    /// held.
    async fn pass(&mut self, to: &mut WriteHalf<'_>, bytes: &[u8]) -> Result<bool, Ended> {
        let whole = self.until_cut.is_none_or(|left| bytes.len() < left);
        let passed = self.until_cut.filter(|_| !whole).and_then(|left| bytes.get(..left)).unwrap_or(bytes);
        self.until_cut = self.until_cut.map(|left| left.saturating_sub(bytes.len()));
        let written = to.write_all(passed).await;
        if whole { Ok(written.is_ok()) } else { Err(Ended::Cut) }
    }
}
