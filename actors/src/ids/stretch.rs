//! Identifiers of one worker, between two moments.

/// 2026-01-01T00:00:00Z in milliseconds: 41 bits from here last until 2095.
const START_MILLIS: i64 = 1_767_225_600_000;

const COUNT_BITS: u32 = 12;
const WORKER_BITS: u32 = 10;
const TIME_BITS: u32 = 41;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// As many workers as their bits can tell apart.
pub const WORKERS: u16 = 1 << WORKER_BITS;

/// What may be made: identifiers of one worker, above the last one, with times before the end.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    worker: u64,
    /// At or below this nothing is made: the last identifier, or what comes before the first.
    last: u64,
    /// The first time that is not ours any more.
    end: u64,
}

impl Stretch {
    /// The next identifier; `None` when its time would not be before the end.
    pub(super) fn next(&mut self, now_micros: i64) -> Option<u64> {
        let id = self.successor().max(first_of(floor_millis(now_micros)) | self.worker << COUNT_BITS);
        if time_of(id) >= self.end {
            return None;
        }
        self.last = id;
        Some(id)
    }

    /// Goes on as `worker`, from a moment on and above everything that was made.
    pub(super) fn begin(&mut self, worker: u16, from_micros: i64, until_micros: i64) {
        self.worker = u64::from(worker);
        // Behind the last time, for in that one a smaller worker's identifiers are smaller.
        let above = if self.last == 0 { 0 } else { time_of(self.last) + 1 };
        self.last = first_of(ceil_millis(from_micros).max(above)) | self.worker << COUNT_BITS;
        self.end = end(until_micros);
    }

    /// Moves the end on.
    pub(super) fn extend(&mut self, until_micros: i64) {
        self.end = self.end.max(end(until_micros));
    }

    /// The moment that identifiers have reached, in microseconds since 1970.
    pub(super) fn reached(&self) -> i64 {
        let millis = i64::try_from(time_of(self.last)).unwrap_or(i64::MAX);
        millis.saturating_add(START_MILLIS).saturating_mul(1000)
    }

    /// Counts up, and goes on to the next millisecond when the count is used up.
    fn successor(&self) -> u64 {
        if self.last & COUNT_MASK == COUNT_MASK {
            first_of(time_of(self.last) + 1) | self.worker << COUNT_BITS
        } else {
            self.last + 1
        }
    }
}

/// A millisecond counts as before a moment only with its end: whole, for the next holder begins at that moment.
fn end(until_micros: i64) -> u64 {
    floor_millis(until_micros).min(1 << TIME_BITS)
}

/// Milliseconds since the start, at or before a moment.
fn floor_millis(micros: i64) -> u64 {
    u64::try_from(micros.div_euclid(1000).saturating_sub(START_MILLIS)).unwrap_or(0).min(1 << TIME_BITS)
}

/// Milliseconds since the start, at or after a moment.
fn ceil_millis(micros: i64) -> u64 {
    floor_millis(micros.saturating_add(999))
}

fn time_of(id: u64) -> u64 {
    id >> (COUNT_BITS + WORKER_BITS)
}

fn first_of(millis: u64) -> u64 {
    millis << (COUNT_BITS + WORKER_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = START_MILLIS * 1000;

    fn stretch(worker: u16, from: i64, until: i64) -> Stretch {
        let mut stretch = Stretch::default();
        stretch.begin(worker, START + from, START + until);
        stretch
    }

    #[test]
    fn identifiers_rise_also_when_the_count_is_used_up_and_the_clock_goes_back() {
        let mut stretch = stretch(7, 0, 9_000);
        let mut last = 0;
        for number in 0..30_000 {
            let now = START + if number < 100 { 2_500 } else { 500 };
            let Some(id) = stretch.next(now) else {
                assert!(number > 6 * 4_096, "{number}");
                return;
            };
            assert!(id > last && id >> COUNT_BITS & 1023 == 7);
            assert!((2..9).contains(&time_of(id)));
            last = id;
        }
        panic!("there are less than seven times 4096");
    }

    #[test]
    fn a_millisecond_that_a_moment_divides_belongs_to_nobody() {
        let mut holder = stretch(7, 0, 2_500);
        assert!(holder.next(START + 1_999).is_some());
        assert_eq!(holder.next(START + 2_000), None);
        let mut next = stretch(7, 2_500, 9_000);
        assert_eq!(next.next(START).map(time_of), Some(3));
    }

    #[test]
    fn what_was_refused_is_made_when_the_clock_comes_back() {
        let mut stretch = stretch(7, 0, 9_000);
        let first = stretch.next(START).unwrap();
        assert_eq!(stretch.next(START + 20_000), None);
        assert_eq!(stretch.next(START), Some(first + 1));
    }

    #[test]
    fn a_smaller_worker_goes_on_above() {
        let mut stretch = stretch(9, 0, 9_000);
        let before = stretch.next(START + 5_000).unwrap();
        stretch.begin(3, START, START + 20_000);
        assert!(stretch.next(START).unwrap() > before);
    }

    #[test]
    fn no_clock_leads_out_of_the_range() {
        assert_eq!(stretch(0, 0, 9_000).next(i64::MIN), Some(1));
        for worker in [0, 1023] {
            let mut stretch = stretch(worker, 0, i64::MAX - START);
            let last_time = START + (1 << TIME_BITS) * 1000 - 1;
            assert!(stretch.next(last_time).is_some_and(|id| id < 1 << 63));
            assert_eq!(stretch.next(last_time + 1), None);
            assert_eq!(stretch.next(i64::MAX), None);
        }
    }
}
