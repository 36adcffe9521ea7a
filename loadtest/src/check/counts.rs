//! What was counted over a stretch of time, and how that adds up.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::histogram;

/// Latencies are counted in microseconds up to a minute; what takes longer counts as a minute.
pub(crate) const LATENCY_US_MAX: u64 = 60_000_000;

/// What was counted since [`super::Checker::begin`]. All latencies are in microseconds and begin when something
/// was to be done: a stall counts, whoever stalls.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) acked: u64,
    /// Messages times receivers.
    pub(crate) delivered: u64,
    /// Events of every kind times receivers, replays included.
    pub(crate) events: u64,
    /// Reads of the client's sockets that brought deliveries: tells how much the server coalesced.
    pub(crate) reads: u64,
    /// Connections that were signed in, those that came back among them.
    pub(crate) connects: u64,
    /// Connections that came back and went on from their cursor.
    pub(crate) resumes: u64,
    /// Tries to connect that the server put off (429, 503); each was made again.
    pub(crate) put_off: u64,
    /// Messages that were sent again under their key, because the connection ended before the answer.
    pub(crate) resent: u64,
    /// Pages of history that were read.
    pub(crate) pages: u64,
    /// Times that somebody was typing.
    pub(crate) typed: u64,
    /// Connections of slow readers that ended, as they should.
    pub(crate) slow_closed: u64,
    /// Those of them that read why: 4008. What waits in front of that may have been lost with it.
    pub(crate) slow_told: u64,
    /// Slow readers that were too far behind to go on, and were told so.
    pub(crate) slow_resets: u64,
    /// To the ack.
    #[serde(with = "histogram")]
    pub(crate) ack_latency: Histogram<u64>,
    /// To each receiver that reads as fast as it can.
    #[serde(with = "histogram")]
    pub(crate) delivery_latency: Histogram<u64>,
    /// To each receiver that reads slowly on purpose.
    #[serde(with = "histogram")]
    pub(crate) slow_latency: Histogram<u64>,
    /// To the end of signing in, tries that were put off included.
    #[serde(with = "histogram")]
    pub(crate) connect_latency: Histogram<u64>,
    /// To a page of history.
    #[serde(with = "histogram")]
    pub(crate) page_latency: Histogram<u64>,
    /// To the answer that the others were told.
    #[serde(with = "histogram")]
    pub(crate) typing_latency: Histogram<u64>,
}

impl Counts {
    /// Nothing.
    ///
    /// # Errors
    /// None in practice: the bounds of the histograms are constants.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let histogram = histogram::new()?;
        Ok(Self {
            sent: 0,
            acked: 0,
            delivered: 0,
            events: 0,
            reads: 0,
            connects: 0,
            resumes: 0,
            put_off: 0,
            resent: 0,
            pages: 0,
            typed: 0,
            slow_closed: 0,
            slow_told: 0,
            slow_resets: 0,
            ack_latency: histogram.clone(),
            delivery_latency: histogram.clone(),
            slow_latency: histogram.clone(),
            connect_latency: histogram.clone(),
            page_latency: histogram.clone(),
            typing_latency: histogram,
        })
    }

    /// Everything from 0 again.
    pub(super) fn reset(&mut self) {
        for figure in self.figures_mut() {
            *figure = 0;
        }
        for histogram in self.histograms_mut() {
            histogram.reset();
        }
    }

    /// Adds what was counted elsewhere or later.
    pub(crate) fn add(&mut self, other: &Self) {
        let mut other = other.clone();
        for (figure, more) in self.figures_mut().into_iter().zip(other.figures_mut()) {
            *figure += *more;
        }
        for (histogram, more) in self.histograms_mut().into_iter().zip(other.histograms_mut()) {
            // All have the same bounds, so nothing can be outside them.
            let _ = histogram.add(&*more);
        }
    }

    fn figures_mut(&mut self) -> [&mut u64; 14] {
        [
            &mut self.sent,
            &mut self.acked,
            &mut self.delivered,
            &mut self.events,
            &mut self.reads,
            &mut self.connects,
            &mut self.resumes,
            &mut self.put_off,
            &mut self.resent,
            &mut self.pages,
            &mut self.typed,
            &mut self.slow_closed,
            &mut self.slow_told,
            &mut self.slow_resets,
        ]
    }

    fn histograms_mut(&mut self) -> [&mut Histogram<u64>; 6] {
        [
            &mut self.ack_latency,
            &mut self.delivery_latency,
            &mut self.slow_latency,
            &mut self.connect_latency,
            &mut self.page_latency,
            &mut self.typing_latency,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_and_read_again_adds_up_without_loss() {
        let mut one = Counts::new().unwrap();
        (one.sent, one.slow_resets) = (3, 1);
        for latency in [1, 17, 1_999, 2_000_000, LATENCY_US_MAX] {
            one.ack_latency.saturating_record(latency);
            one.typing_latency.saturating_record(latency);
        }
        let read: Counts = serde_json::from_str(&serde_json::to_string(&one).unwrap()).unwrap();
        assert_eq!(read.ack_latency, one.ack_latency);
        let mut sum = Counts::new().unwrap();
        sum.add(&read);
        sum.add(&one);
        assert_eq!((sum.sent, sum.slow_resets, sum.typing_latency.len()), (6, 2, 10));
        assert_eq!(sum.ack_latency.value_at_quantile(0.5), one.ack_latency.value_at_quantile(0.5));
        sum.reset();
        assert_eq!((sum.sent, sum.ack_latency.len()), (0, 0));
    }
}
