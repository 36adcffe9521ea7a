//! What was counted, second by second, and how the seconds of several processes become one.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::check::Counts;

/// A last second that is shorter belongs to the one before: rates of a moment say nothing.
const SECONDS_MIN: f64 = 0.5;

/// What one process counted in one second.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Second {
    /// From 1.
    pub(crate) number: u64,
    /// How long it was: the last one is shorter, and one in which the harness stalled longer.
    pub(crate) seconds: f64,
    /// Members that were signed in at its end.
    pub(crate) connections: u64,
    /// What went wrong.
    pub(crate) errors: u64,
    pub(crate) counts: Counts,
}

impl Second {
    /// The same with the moment that follows it.
    fn and(mut self, next: &Self) -> Self {
        self.seconds += next.seconds;
        self.connections = next.connections;
        self.errors += next.errors;
        self.counts.add(&next.counts);
        self
    }
}

/// Quantiles of a latency in one second, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    pub(crate) count: u64,
    pub(crate) p50_us: u64,
    pub(crate) p90_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) max_us: u64,
}

impl Quantiles {
    fn of(histogram: &Histogram<u64>) -> Option<Self> {
        (!histogram.is_empty()).then(|| Self {
            count: histogram.len(),
            p50_us: histogram.value_at_quantile(0.5),
            p90_us: histogram.value_at_quantile(0.9),
            p99_us: histogram.value_at_quantile(0.99),
            max_us: histogram.max(),
        })
    }
}

/// One second of all processes together, as it stands in the result. Rates are a second's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Point {
    /// Seconds from the beginning to its end.
    pub(crate) second: u64,
    pub(crate) connections: u64,
    pub(crate) sent_per_second: f64,
    pub(crate) acked_per_second: f64,
    pub(crate) delivered_per_second: f64,
    pub(crate) pages_per_second: f64,
    pub(crate) connects_per_second: f64,
    pub(crate) typed_per_second: f64,
    /// What went wrong in it.
    pub(crate) errors: u64,
    /// Latencies that were seen in it; absent where there was none.
    pub(crate) ack: Option<Quantiles>,
    pub(crate) delivery: Option<Quantiles>,
    pub(crate) connect: Option<Quantiles>,
    pub(crate) page: Option<Quantiles>,
}

impl Point {
    fn of(second: &Second) -> Self {
        let counts = &second.counts;
        let rate = |count: u64| count as f64 / second.seconds.max(0.001);
        Self {
            second: second.number,
            connections: second.connections,
            sent_per_second: rate(counts.sent),
            acked_per_second: rate(counts.acked),
            delivered_per_second: rate(counts.delivered),
            pages_per_second: rate(counts.pages),
            connects_per_second: rate(counts.connects),
            typed_per_second: rate(counts.typed),
            errors: second.errors,
            ack: Quantiles::of(&counts.ack_latency),
            delivery: Quantiles::of(&counts.delivery_latency),
            connect: Quantiles::of(&counts.connect_latency),
            page: Quantiles::of(&counts.page_latency),
        }
    }
}

/// Makes one series of what several processes tell.
#[derive(Debug)]
pub(crate) struct Collector {
    /// Processes that still tell.
    parts: usize,
    /// Seconds that not all of them have told yet: how many have, and their sum.
    open: BTreeMap<u64, (usize, Second)>,
    /// Members of each process that were signed in when it last told.
    connected: Vec<u64>,
    points: Vec<Point>,
    /// What the newest point was made of.
    newest: Option<Second>,
    pub(crate) totals: Counts,
    /// The most members that were signed in at once.
    connections: u64,
}

impl Collector {
    /// Nothing told yet.
    ///
    /// # Errors
    /// None in practice: as [`Counts::new`].
    pub(crate) fn new(parts: usize) -> anyhow::Result<Self> {
        let (open, connected, points) = (BTreeMap::new(), vec![0; parts], Vec::new());
        Ok(Self { parts, open, connected, points, newest: None, totals: Counts::new()?, connections: 0 })
    }

    /// Takes a second of one process; gives the point that it completes.
    pub(crate) fn take(&mut self, part: usize, second: Second) -> Option<&Point> {
        self.totals.add(&second.counts);
        if let Some(connected) = self.connected.get_mut(part) {
            *connected = second.connections;
        }
        let number = second.number;
        match self.open.get_mut(&number) {
            Some((told, sum)) => {
                *told += 1;
                sum.seconds = sum.seconds.max(second.seconds);
                sum.connections += second.connections;
                sum.errors += second.errors;
                sum.counts.add(&second.counts);
            }
            None => {
                self.open.insert(number, (1, second));
            }
        }
        if self.open.get(&number).is_some_and(|(told, _)| *told >= self.parts) {
            // The same process tells its seconds in order, so earlier ones can only lack what ended.
            self.close(number);
            return self.points.last();
        }
        None
    }

    /// Members that are signed in now.
    pub(crate) fn connected(&self) -> u64 {
        self.connected.iter().sum()
    }

    /// A process has told everything.
    pub(crate) fn ended(&mut self) {
        self.parts = self.parts.saturating_sub(1);
    }

    /// All have: gives everything.
    pub(crate) fn finish(mut self) -> (Vec<Point>, Counts, u64) {
        self.close(u64::MAX);
        (self.points, self.totals, self.connections)
    }

    fn close(&mut self, up_to: u64) {
        let later = if up_to == u64::MAX { BTreeMap::new() } else { self.open.split_off(&(up_to + 1)) };
        for (_, (_, second)) in std::mem::replace(&mut self.open, later) {
            self.connections = self.connections.max(second.connections);
            let second = match self.newest.take() {
                Some(newest) if second.seconds < SECONDS_MIN => {
                    self.points.pop();
                    newest.and(&second)
                }
                _ => second,
            };
            self.points.push(Point::of(&second));
            self.newest = Some(second);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(number: u64, sent: u64, latency: u64) -> Second {
        let mut counts = Counts::new().unwrap();
        counts.sent = sent;
        counts.ack_latency.saturating_record_n(latency, sent);
        Second { number, seconds: 1.0, connections: 10, errors: 1, counts }
    }

    #[test]
    fn a_moment_at_the_end_belongs_to_the_second_before() {
        let mut collector = Collector::new(1).unwrap();
        collector.take(0, second(1, 30, 100));
        collector.take(0, Second { seconds: 0.25, connections: 9, ..second(2, 20, 900) });
        let (points, totals, _) = collector.finish();
        let [point] = points.as_slice() else { panic!("{points:?}") };
        assert!((point.sent_per_second - 40.0).abs() < 1e-9, "{point:?}");
        assert_eq!((point.second, point.connections, point.errors, totals.sent), (1, 9, 2, 50));
    }

    #[test]
    fn the_seconds_of_processes_become_one_series() {
        let mut collector = Collector::new(2).unwrap();
        assert!(collector.take(0, second(1, 30, 100)).is_none());
        assert!(collector.take(0, second(2, 5, 100)).is_none());
        let point = collector.take(1, second(1, 10, 900)).unwrap();
        assert_eq!((point.second, point.connections, point.errors), (1, 20, 2));
        let ack = point.ack.unwrap();
        assert_eq!((ack.count, ack.p50_us, ack.max_us), (40, 100, 900));
        assert_eq!(collector.connected(), 20);
        collector.ended();
        let (points, totals, connections) = collector.finish();
        assert_eq!((points.len(), totals.sent, totals.ack_latency.len(), connections), (2, 45, 45, 20));
    }
}
